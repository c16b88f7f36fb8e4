-- What passes: the images in force, and the look-up.  Sees what mod_clearinghouse.lua leaves global: agent, NS.

local jid_host = require "util.jid".host;
local jid_node = require "util.jid".node;
local to_ascii = require "util.encodings".idna.to_ascii;

local BITS = { inbound = { message = 1; presence = 2; iq = 4; groupchat = 8 }; outbound = { message = 16; presence = 32; iq = 64; groupchat = 128 } };
local EVERYTHING, NOTHING = 255, 0;
local LONG_AGO = 1; -- when an image ended whose end was seen to pass

local rules = { images = {} }; -- name -> image
local by_host = {}; -- local host -> image

local exempt = {};
local ungoverned = module:get_option_string("clearinghouse_ungoverned", "deny") == "allow" and EVERYTHING or NOTHING;

-- As a table has them: A-labels in lower case, without a dot at the end.
function rules.domain(name)
	if not name:find("[^%l%d%.%-]") and name:byte(-1) ~= 46 then return name; end
	if name:find("[\128-\255]") then name = to_ascii(name) or name; end
	return (name:lower():gsub("%.$", ""));
end

local function bare(jid)
	local node, domain = jid_node(jid), rules.domain(jid_host(jid));
	return node and node.."@"..domain or domain, domain;
end

for name in module:get_option_set("clearinghouse_exempt", {}) do exempt[rules.domain(name)] = true; end

-- What one way must be permitted so that an answer of this name may come back the other.
local ANSWERED = {
	inbound = { message = 16 + 128; presence = 32; iq = 64 };
	outbound = { message = 1 + 8; presence = 2; iq = 4 };
};

-- Under which name a stanza is judged.
function rules.kind(stanza)
	if stanza.attr.type == "error" or stanza.name == "iq" and stanza.attr.type == "result" then return "answer"; end
	if stanza.attr.type == "groupchat" and stanza.name == "message" then return "groupchat"; end
	return stanza.name;
end

-- What is asked about a stanza: all that a verdict may depend on.
function rules.asked(here, there, direction, stanza, address)
	local asked = { direction = direction; kind = rules.kind(stanza); name = stanza.name; address = address };
	asked.here, asked.host = bare(here);
	asked.user, asked.remote = bare(there);
	return asked;
end

-- The same about a stream: whether anything may ever pass on it, for anybody.
function rules.asked_of_stream(host, remote, direction, address)
	return { direction = direction; kind = "stream"; address = address; host = rules.domain(host); remote = rules.domain(remote) };
end

local function applies(grant, asked, now)
	return now < grant["until"]
		and (grant["local"] == "*" or grant["local"] == asked.here or not asked.here and jid_host(grant["local"]) == asked.host)
		and (grant.address == "*" or not asked.address or grant.address == asked.address);
end

local function granted_to(list, asked, now)
	local found = NOTHING;
	for _, grant in pairs(list or {}) do
		if applies(grant, asked, now) then found = found | grant.mask; end
	end
	return found;
end

local function granted(image, asked, now)
	local users = image.grants_of[asked.remote];
	if not users then return NOTHING; end
	if asked.user then return granted_to(users["*"], asked, now) | granted_to(users[asked.user], asked, now); end
	local found = NOTHING;
	for _, list in pairs(users) do found = found | granted_to(list, asked, now); end
	return found;
end

local function is_expired(image, now) return image.expires ~= 0 and now >= image.expires; end

local function mask(image, asked, now)
	local row = image.rows[asked.remote];
	local found = row and row.mask or image.default_mask;
	if is_expired(image, now) then found = NOTHING; end
	return found | granted(image, asked, now);
end

local function is_exempt(asked) return exempt[asked.remote] and asked.host == agent; end

-- Everything that passes for a pair, for anybody.
local function pair_mask(image, asked, now)
	return mask(image, { host = asked.host; remote = asked.remote; address = asked.address }, now);
end

-- Whether it passes, and whether that is enforced.
function rules.verdict(asked)
	if is_exempt(asked) then return true, true; end
	local image, now = by_host[asked.host], os.time();
	if not image then return ungoverned == EVERYTHING, true; end
	local bits = BITS[asked.direction][asked.kind] or asked.kind == "answer" and ANSWERED[asked.direction][asked.name];
	local found = bits and mask(image, asked, now) & bits or not bits and pair_mask(image, asked, now);
	return found ~= NOTHING, not image.shadow;
end

-- The decision of a live grant for this domain, which was not enough.
local function insufficient(image, remote, now)
	for _, list in pairs(image.grants_of[remote] or {}) do
		for _, grant in pairs(list) do
			if now < grant["until"] and grant.decision ~= "" then return grant.decision; end
		end
	end
end

-- Why it does not pass: a sentence with the id of what was decided, and that id alone.
function rules.why(asked)
	local image, now = by_host[asked.host], os.time();
	if not image then return "no policy is known here", ""; end
	local row, decision = image.rows[asked.remote], insufficient(image, asked.remote, now) or image.decision;
	local text = row and row.reason or not row and image.default_reason or "";
	if is_expired(image, now) then text = "the levels known here have expired"; end
	if text == "" then text = "not permitted between "..asked.host.." and "..asked.remote; end
	return decision == "" and text or text.." ("..decision..")", decision;
end

function rules.image_of(host) return by_host[rules.domain(host)]; end

---- Changes

local function index(image, grant, value)
	local users = image.grants_of[grant.remote] or {};
	local list = users[grant.user] or {};
	list[grant.id] = value;
	users[grant.user] = next(list) and list or nil;
	image.grants_of[grant.remote] = next(users) and users or nil;
	image.grants[grant.id] = value;
end

function rules.add_grant(image, grant)
	rules.end_grant(image, grant.id);
	index(image, grant, grant);
	image.grant_count = image.grant_count + 1;
end

-- Ends the grant with this id; returns the domain that it was about.
function rules.end_grant(image, id)
	local grant = image.grants[id];
	if not grant then return; end
	index(image, grant, nil);
	image.grant_count = image.grant_count - 1;
	return grant.remote;
end

-- Puts one image into force in the place of the one of the same name.
function rules.switch(image)
	for host, before in pairs(by_host) do
		if before.name == image.name then by_host[host] = nil; end
	end
	for _, host in ipairs(image.hosts) do by_host[host] = image; end
	rules.images[image.name] = image;
end

-- Whether another image governs one of these hosts already.
function rules.is_taken(name, hosts)
	for _, host in ipairs(hosts) do
		if by_host[host] and by_host[host].name ~= name then return true; end
	end
	return false;
end

-- Takes away for good what has ended by *now*, whatever the clock does later (authority R17); whether there was anything.
function rules.end_by(image, now)
	local has_ended = false;
	for id, grant in pairs(image.grants) do
		if grant["until"] <= now then rules.end_grant(image, id); has_ended = true; end
	end
	if image.expires > LONG_AGO and image.expires <= now then image.expires = LONG_AGO; has_ended = true; end
	return has_ended;
end

-- Does so for every image, and tells *over* of each that has lost something; returns when the next thing ends.
function rules.tidy(now, over)
	local next_end = math.huge;
	for _, image in pairs(rules.images) do
		if rules.end_by(image, now) then over(image, now); end
		if image.expires > now then next_end = math.min(next_end, image.expires); end
		for _, grant in pairs(image.grants) do next_end = math.min(next_end, grant["until"]); end
	end
	return next_end;
end

rules.EVERYTHING, rules.NOTHING = EVERYTHING, NOTHING;

return rules;

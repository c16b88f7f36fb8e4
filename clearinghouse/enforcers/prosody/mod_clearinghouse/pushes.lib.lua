-- What the agent changes: a new image in pieces, which comes into force as a whole, or a change of the one in force.
-- Sees what mod_clearinghouse.lua leaves global: NS, held, kept, peers, rules, streams.

local json = require "util.json";
local st = require "util.stanza";

local MAX_ROWS, MAX_GRANTS = 200000, 10000;
local MAX_KEYS = 8; -- of one domain, as on its record

local pushes = {};
local building = {}; -- image name -> what has come of it

local function need(what) -- a push that is not of the protocol is refused as a whole, before anything is done
	if not what then error("malformed", 0); end
	return what;
end

local function text(value) return need(type(value) == "string") and value; end
local function number(value) return need(math.type(value) == "integer") and value; end
local function list(value) return need(type(value) == "table") and value; end

local function read_grants(values)
	local grants = {};
	for _, value in ipairs(list(values)) do
		local grant = { mask = number(value.mask) & rules.EVERYTHING, ["until"] = number(value["until"]), remote = rules.domain(text(value.remote)) };
		for _, name in ipairs { "id", "user", "local", "address", "decision" } do grant[name] = text(value[name]); end
		grants[#grants+1] = grant;
	end
	return grants;
end

local function read_classes(values)
	local classes = {};
	for name, value in pairs(list(values)) do classes[name] = { name = name; mask = number(value.mask); reason = text(value.reason) }; end
	return classes;
end

local function put_rows(image, class, domains)
	for _, domain in ipairs(domains) do
		domain = rules.domain(domain);
		if not image.rows[domain] then image.row_count = image.row_count + 1; end
		image.rows[domain] = class;
	end
end

local function read_keys(values)
	local found = {};
	for domain, keys in pairs(list(values)) do
		local set = {};
		need(#list(keys) > 0 and #keys <= MAX_KEYS);
		for _, key in ipairs(keys) do
			need(#text(key) == 64 and not key:find("[^%da-f]"));
			set[key] = true;
		end
		found[rules.domain(text(domain))] = set;
	end
	return found;
end

local doings = {}; -- each answers true, or nil and a condition

function doings.begin(push, line)
	local name, serial, hosts = text(push.image), number(push.serial), list(push.hosts);
	need(name:match("^[%w%.%-_]+$")); -- it becomes the name of a file
	for index, host in ipairs(hosts) do hosts[index] = rules.domain(text(host)); end
	local before = rules.images[name];
	if before and serial <= before.serial or rules.is_taken(name, hosts) then return nil, "conflict"; end
	need((push.mode == "enforce" or push.mode == "shadow") and (push.default == "deny" or push.default == "allow"));
	building[name] = {
		name = name; serial = serial; hosts = hosts; mode = push.mode; shadow = push.mode == "shadow";
		default = push.default; default_mask = push.default == "allow" and rules.EVERYTHING or rules.NOTHING;
		default_reason = text(push.default_reason or ""); decision = text(push.decision or ""); expires = number(push.expires);
		classes = read_classes(push.classes); ask = push.ask == true;
		rows = {}; row_count = 0; grants = {}; grants_of = {}; grant_count = 0;
	};
	kept.begin(name, line);
	return true;
end

local function begun(push)
	local image = building[push.image];
	return image and image.serial == push.serial and image or nil;
end

function doings.rows(push, line)
	local image, domains = begun(push), list(push.domains);
	if not image then return nil, "conflict"; end
	local class = need(image.classes[push.class]);
	if image.row_count + #domains > MAX_ROWS then return nil, "resource-constraint"; end
	for _, domain in ipairs(domains) do text(domain); end
	put_rows(image, class, domains);
	kept.piece(image.name, line);
	return true;
end

function doings.grants(push, line)
	local image, grants = begun(push), read_grants(push.grants);
	if not image then return nil, "conflict"; end
	if image.grant_count + #grants > MAX_GRANTS then return nil, "resource-constraint"; end
	for _, grant in ipairs(grants) do rules.add_grant(image, grant); end
	kept.piece(image.name, line);
	return true;
end

function doings.commit(push, line)
	local image = begun(push);
	if not image then return nil, "conflict"; end
	building[image.name] = nil;
	rules.switch(image);
	kept.commit(image.name, line);
	streams.watch_clock();
	streams.sweep();
	module:log("info", "The image %s is in force: serial %d, %d rows, %d grants, %s", image.name, image.serial, image.row_count, image.grant_count, image.mode);
	return true;
end

local function read_change(image, push)
	local change = { rows = {}; unset = list(push.unset); grants = read_grants(push.grants); ended = list(push.ended); touched = {} };
	for name, domains in pairs(list(push.set)) do
		need(image.classes[name]);
		for _, domain in ipairs(list(domains)) do text(domain); end
		change.rows[name] = domains;
	end
	for _, values in ipairs { change.unset, change.ended } do
		for _, value in ipairs(values) do text(value); end
	end
	change.expires, change.decision = number(push.expires), text(push.decision or image.decision);
	return change;
end

local function apply(image, change)
	local touched = change.touched;
	for name, domains in pairs(change.rows) do
		put_rows(image, image.classes[name], domains);
		for _, domain in ipairs(domains) do touched[rules.domain(domain)] = true; end
	end
	for _, domain in ipairs(change.unset) do
		domain = rules.domain(domain);
		if image.rows[domain] then image.rows[domain], image.row_count = nil, image.row_count - 1; end
		touched[domain] = true;
	end
	for _, id in ipairs(change.ended) do touched[rules.end_grant(image, id) or ""] = true; end
	for _, grant in ipairs(change.grants) do
		touched[rules.end_grant(image, grant.id) or ""] = true; -- one of the same name may have permitted more
		rules.add_grant(image, grant);
		touched[grant.remote] = true;
	end
	image.expires, image.decision = change.expires, change.decision;
end

function doings.change(push, line)
	local image = rules.images[push.image];
	if not image or push.after ~= image.serial or number(push.serial) <= push.after then return nil, "conflict"; end
	local change = read_change(image, push);
	if image.row_count > MAX_ROWS or image.grant_count + #change.grants > MAX_GRANTS then return nil, "resource-constraint"; end
	apply(image, change);
	image.serial = push.serial;
	kept.add(image, line);
	streams.watch_clock();
	local is_over = change.expires ~= 0 and change.expires <= os.time();
	streams.sweep(not is_over and change.touched or nil);
	return true;
end

function doings.peers(push, line)
	local part = { name = text(push.image); serial = number(push.serial); part = number(push.part); parts = number(push.parts) };
	need(part.name:match("^[%w%.%-_]+$") and part.part >= 1 and part.part <= part.parts); -- it becomes the name of a file
	part.keys = read_keys(push.peers);
	return peers.take(part, line);
end

function doings.release(push) return held.release(push.held), "item-not-found"; end

function doings.refuse(push) return held.refuse(push.held, text(push.reason)), "item-not-found"; end

---- The stanza

local replayed = {}; -- what only a file says

function replayed.ended(push)
	rules.end_by(need(rules.images[push.image]), number(push.at));
	return true;
end

local function done(line, more)
	local push = json.decode(line);
	need(type(push) == "table");
	local doing = need(doings[push["do"]] or more and more[push["do"]]);
	local ok, condition = doing(push, line);
	return ok, condition, push;
end

-- Does what a line of a file says; false where it is not whole.
function pushes.replay(line)
	local worked, ok = pcall(done, line, replayed);
	return worked and ok;
end

local function applied(push, ok)
	local image = rules.images[push.image];
	local in_force = push["do"] == "peers" and peers.serial(push.image) or image and image.serial or 0;
	local serial = ok and push.serial or in_force;
	return st.stanza("applied", { xmlns = NS; image = push.image; serial = ("%d"):format(serial) });
end

function pushes.take(stanza)
	local worked, ok, condition, push = pcall(done, stanza.tags[1]:get_text() or "");
	if not worked then
		if ok ~= "malformed" then module:log("error", "A push could not be taken: %s", ok); end
		return st.error_reply(stanza, "modify", "bad-request", "This is no push");
	end
	local reply = ok and st.reply(stanza) or st.error_reply(stanza, "cancel", condition);
	if type(push.image) == "string" then reply:reset():add_child(applied(push, ok)); end
	return reply;
end

return pushes;

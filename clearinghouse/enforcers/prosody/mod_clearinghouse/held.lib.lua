-- What waits while the agent asks for permission: stanzas of our users that were refused here or by the other side.
-- Sees what mod_clearinghouse.lua leaves global: NS, agent, answers, rules.
--
-- Stanzas of one user to one domain and of one kind are one group: the agent hears of it once, and settles it as a whole.

local cache = require "util.cache";
local jid_host = require "util.jid".host;
local json = require "util.json";
local new_id = require "util.id".medium;
local st = require "util.stanza";
local xml = require "util.xml";

local SECONDS = 30; -- what a user takes for a slow network
local MAX_STANZA = 16384; -- bytes of one that waits, or is remembered; what people write is much shorter
local MAX_STANZAS, MAX_IN_GROUP, MAX_PER_PAIR = 1000, 32, 32;
local MAX_GROUPS, MAX_GROUPS_OF_USER = 200, 16; -- as many events, at most, in the time that a group lasts
local MAX_TEXT = 200; -- characters of a reason, as in an image
local MAX_REMEMBERED = 1000; -- stanzas that went out, by which an answer from the other side is believed

local held = {};
local groups, by_key = {}, {}; -- id -> group; pair, user and kind -> group
local stanzas, of_pair, groups_of = 0, {}, {}; -- how many: in all, per pair, per user
local group_count = 0;
local remembered = cache.new(MAX_REMEMBERED); -- sender, receiver, id -> { asked, stanza }
local tried = setmetatable({}, { __mode = "k" }); -- stanzas that were released once
local tried_keys = cache.new(MAX_REMEMBERED);

local function key_of(stanza) return stanza.attr.id and stanza.attr.from.."\0"..stanza.attr.to.."\0"..stanza.attr.id; end

local function add(counts, key, by)
	local sum = (counts[key] or 0) + by;
	counts[key] = sum > 0 and sum or nil;
end

local function waits_for_an_answer(stanza)
	local kind = stanza.attr.type;
	if stanza.name == "message" then return kind ~= "error"; end
	if stanza.name == "iq" then return kind == "get" or kind == "set"; end
	return stanza.name == "presence" and kind == "subscribe";
end

local function is_agent_there()
	local host = prosody.hosts[agent];
	local component = host and host.modules.component;
	return component and component.connected;
end

-- Whether *stanza* may wait: from a user of ours, about whom the agent wants to be asked, and not for the second time.
local function may_wait(asked, stanza)
	local image, host = rules.image_of(asked.host), prosody.hosts[jid_host(stanza.attr.from)];
	local key = key_of(stanza);
	return image and image.ask and host and host.type == "local" and asked.here ~= asked.host
		and not tried[stanza] and not (key and tried_keys:get(key)) and waits_for_an_answer(stanza)
		and #tostring(stanza) <= MAX_STANZA;
end

local function forget(group)
	groups[group.id], by_key[group.key] = nil, nil;
	group_count, stanzas = group_count - 1, stanzas - #group.stanzas;
	add(of_pair, group.pair, -#group.stanzas);
	add(groups_of, group.asked.here, -1);
end

local function bounce(group, text, decision)
	forget(group);
	for _, stanza in ipairs(group.stanzas) do answers.refuse(stanza, text, decision); end
end

-- What another server wrote may be as long as a stanza.
local function short(text)
	local cut = utf8.len(text) and utf8.offset(text, MAX_TEXT + 1);
	return cut and text:sub(1, cut - 1) or text;
end

local function tell(group, by, text)
	local asked = group.asked;
	local event = json.encode {
		event = "refused"; held = group.id; image = rules.image_of(asked.host).name; ["local"] = asked.host; remote = asked.remote;
		user = asked.here; to = asked.user; kind = asked.kind; by = by; text = short(text);
	};
	local host = jid_host(group.stanzas[1].attr.from);
	answers.send(st.message({ from = host; to = agent; id = new_id() }):text_tag("event", event, { xmlns = NS }), host);
end

local function new_group(asked, key, pair, text, decision)
	if group_count >= MAX_GROUPS or (groups_of[asked.here] or 0) >= MAX_GROUPS_OF_USER then return; end
	local group = { id = new_id(); key = key; pair = pair; asked = asked; stanzas = {} };
	groups[group.id], by_key[key], group_count = group, group, group_count + 1;
	add(groups_of, asked.here, 1);
	module:add_timer(SECONDS, function ()
		if groups[group.id] == group then bounce(group, text, decision); end
	end);
	return group;
end

-- Keeps *stanza* and tells the agent; false where it cannot wait, and its sender has to be told.
function held.hold(asked, stanza, by, text, decision)
	if not may_wait(asked, stanza) or not is_agent_there() then return false; end
	local pair = asked.host.."\0"..asked.remote;
	local key = pair.."\0"..asked.here.."\0"..asked.kind;
	local group = by_key[key];
	if stanzas >= MAX_STANZAS or (of_pair[pair] or 0) >= MAX_PER_PAIR or group and #group.stanzas >= MAX_IN_GROUP then return false; end
	local is_new = not group;
	group = group or new_group(asked, key, pair, text, decision);
	if not group then return false; end
	group.stanzas[#group.stanzas+1] = st.clone(stanza);
	stanzas = stanzas + 1;
	add(of_pair, pair, 1);
	if is_new then tell(group, by, text); end
	return true;
end

---- What the agent answers

function held.release(id)
	local group = groups[id];
	if not group then return false; end
	forget(group);
	for _, stanza in ipairs(group.stanzas) do
		local key = key_of(stanza);
		tried[stanza] = true;
		if key then tried_keys:set(key, true); end
		answers.send(stanza, jid_host(stanza.attr.from));
	end
	return true;
end

function held.refuse(id, text)
	local group = groups[id];
	if not group then return false; end
	bounce(group, text, "");
	return true;
end

---- What the other side refuses

-- Notes what went out, so that nobody can make us send what our user never sent.
function held.remember(asked, stanza)
	local image = rules.image_of(asked.host);
	if not image or not image.ask or not stanza.attr.id or not may_wait(asked, stanza) then return; end
	remembered:set(key_of(stanza), { asked = asked; stanza = stanza });
end

-- Keeps a stanza that came back from the other side with <refused/>; false where this is an ordinary answer.
function held.take_back(answer)
	local problem = answer.attr.type == "error" and answer.attr.id and answer:get_child("error");
	if not problem or not problem:get_child("refused", NS) then return false; end
	local key = answer.attr.to.."\0"..answer.attr.from.."\0"..answer.attr.id;
	local sent = remembered:get(key);
	if not sent then return false; end
	remembered:set(key, nil);
	local text = problem:get_child_text("text", "urn:ietf:params:xml:ns:xmpp-stanzas") or "";
	return held.hold(sent.asked, sent.stanza, "peer", text, problem:get_child("refused", NS).attr.decision or "");
end

-- Keeps what can wait of the queue of a stream that the other side refused, and leaves the rest in it.
function held.take_queue(session, text)
	local left = {};
	for _, item in ipairs(session.sendq) do
		local asked, stanza = held.read(item[1]);
		if not (asked and held.hold(asked, stanza, "peer", text, "")) then left[#left+1] = item; end
	end
	session.sendq = left;
end

-- What is asked about a stanza in a queue, which is there as text, and the stanza; nil for what is none.
function held.read(line)
	local stanza = type(line) == "string" and xml.parse(line);
	if not stanza or not stanza.attr.from or not stanza.attr.to then return; end
	return rules.asked(stanza.attr.from, stanza.attr.to, "outbound", stanza), stanza;
end

return held;

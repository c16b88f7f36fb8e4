-- How things stand, for the agent and for whoever inspects the server.  Sees what mod_clearinghouse.lua leaves global.

local array = require "util.array";
local config = require "core.configmanager";
local json = require "util.json";
local new_id = require "util.id".medium;
local st = require "util.stanza";

local MAX_STREAMS = 1000; -- of each direction, in one answer

local status = {};

local function images()
	local found = {};
	for name, image in pairs(rules.images) do
		found[name] = { serial = image.serial; rows = image.row_count; grants = image.grant_count; expires = image.expires; mode = image.mode; kept = kept.ok[name] == true };
	end
	return found;
end

local function proof(session) return session.external_auth == "succeeded" and "external" or session.type:match("unauthed") and "" or "dialback"; end

local function add(found, session, here, remote, direction)
	if #found >= MAX_STREAMS * 2 then return; end
	found:push { ["local"] = here or ""; remote = remote or ""; direction = direction; secure = session.secure == true; auth = proof(session); address = session.ip or "" };
end

local function open_streams()
	local found = array();
	for session in pairs(prosody.incoming_s2s) do
		for remote, state in pairs(session.hosts) do
			if state.authed then add(found, session, session.to_host, remote, "inbound"); end
		end
	end
	for name, host in pairs(prosody.hosts) do
		for remote, session in pairs(host.s2sout or {}) do
			if session.type == "s2sout" or session.type == "s2sin" then add(found, session, name, remote, "outbound"); end
		end
	end
	return found;
end

local function has_module(name)
	if module:context("*"):get_option_inherited_set("modules_enabled", {}):contains(name) then return true; end
	for _, host in pairs(prosody.hosts) do
		if host.modules and host.modules[name] then return true; end
	end
	return false;
end

-- What decides whether a stranger can be kept out; which values are safe is not for us to say.
local function facts()
	local hosts, governed = array(), array();
	for name in pairs(prosody.hosts) do
		hosts:push(name);
		if rules.image_of(name) then governed:push(name); end
	end
	local doors, door_pins = array(), {};
	for name, keys in pairs(follow.doors) do
		doors:push(name);
		door_pins[name] = array();
		for key in pairs(keys) do door_pins[name]:push(key); end
	end
	local network, ssl = config.get("*", "network_settings") or {}, config.get("*", "ssl") or {};
	return {
		version = prosody.version; time = os.time(); hosts = hosts; governed = governed; agent = agent;
		dialback = has_module("dialback"); bidi = has_module("s2s_bidi"); s2s = has_module("s2s");
		secure_auth = module:get_option_boolean("s2s_secure_auth", false);
		starttls = module:get_option_boolean("s2s_require_encryption", true) and "required" or "optional";
		insecure_domains = array(module:get_option_array("s2s_insecure_domains", {}));
		retry_delay = 0; -- each stanza makes a new attempt
		ca_file = ssl.cafile or ""; unbound = package.loaded["lunbound"] ~= nil; nagle = network.nagle ~= false;
		doors = doors; door_pins = door_pins;
		component_interfaces = array(module:get_option_array("component_interfaces", { "127.0.0.1" }));
	};
end

function status.answer(stanza)
	local text = json.encode { module = VERSION; server = "prosody"; images = images(); peers = peers.status(); streams = open_streams(); seen = array(seen.rows()); facts = facts() };
	return st.reply(stanza):text_tag("status", text, { xmlns = NS });
end

-- Tells the agent, whose session has begun, what is in force.
function status.greet()
	local serials = {};
	for name, image in pairs(rules.images) do serials[name] = image.serial; end
	local text = json.encode { event = "started"; images = serials };
	for name, host in pairs(prosody.hosts) do
		if host.type == "local" then
			answers.send(st.message({ from = name; to = agent; id = new_id() }):text_tag("event", text, { xmlns = NS }), name);
		end
	end
end

return status;

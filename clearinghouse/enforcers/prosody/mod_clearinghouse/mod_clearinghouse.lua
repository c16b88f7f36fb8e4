-- mod_clearinghouse: lets pass between this server and others only what an image says, which an agent beside it pushes.
--
-- For Prosody 0.12.  It decides nothing: it looks up, refuses, cuts, counts and reports.  Without an image nothing passes.
-- The protocol is described in docs/reference/server-protocol.md of the clearinghouse.
--
--   modules_enabled = { ..., "clearinghouse" }     -- in the global section: it governs every host, components too
--   clearinghouse_agent = "agent.a.example"        -- the component that pushes; nobody else is believed
--   clearinghouse_exempt = { "hub.example" }       -- domains that may always speak with the agent's own address
--   clearinghouse_ungoverned = "deny"              -- or "allow": for hosts of this server that no image names
--   clearinghouse_doors = { ["door.hub.example"] = { "the SHA-256 of its key" } }   -- by whom it is sent on
--
--   Component "agent.a.example"
--       component_secret = "..."

module:set_global();

local jid_bare = require "util.jid".bare;
local jid_prep = require "util.jid".prep;
local st = require "util.stanza";

-- Not local: the other files of this module share its environment.
VERSION, NS = "1", "urn:x-clearinghouse:server:1";
agent = jid_prep(module:get_option_string("clearinghouse_agent", "")) or "";

-- A part that cannot be loaded must not leave the server open: then nothing passes at all.
local is_loaded, problem = pcall(function ()
	rules = module:require "rules"; -- what passes
	seen = module:require "seen"; -- what was asked, counted
	answers = module:require "answers"; -- what is said to others
	held = module:require "held"; -- what waits for the agent
	follow = module:require "follow"; -- connections that a door sends on
	streams = module:require "streams"; -- connections
	kept = module:require "kept"; -- on disk
	peers = module:require "peers"; -- who the servers of others are
	pushes = module:require "pushes"; -- what the agent changes
	status = module:require "status"; -- how things stand
end);

if agent == "" then module:log("error", "clearinghouse_agent is not set: nothing is believed, and nothing passes"); end

local KINDS = { message = true; presence = true; iq = true };

---- Stanzas

local function inbound(event)
	local origin, stanza = event.origin, event.stanza;
	-- Answers that the server makes itself (of a queue that could not be sent) have a dummy for a stream.
	if origin.type ~= "s2sin" and origin.type ~= "s2sout" or origin.dummy then return; end
	if not is_loaded then return true; end
	local asked = rules.asked(stanza.attr.to, stanza.attr.from, "inbound", stanza, origin.ip);
	local kind = asked.kind;
	local allowed, enforced = rules.verdict(asked);
	if kind ~= "answer" then seen.count(asked, allowed); end
	if allowed and kind == "answer" and held.take_back(stanza) then return true; end
	if allowed or not enforced then return; end
	if kind ~= "answer" then answers.refuse(stanza, rules.why(asked)); end
	return true;
end

local function outbound(event)
	local stanza = event.stanza;
	if not is_loaded then return true; end
	local asked = rules.asked(stanza.attr.from or event.from_host, stanza.attr.to or event.to_host, "outbound", stanza);
	-- What is no stanza belongs to a stream (db:verify, stream management), and so does what we say of a refused stanza.
	if not KINDS[stanza.name] or stanza.attr.xmlns or answers.is_own(stanza) then asked.kind, asked.name = "answer", nil; end
	local kind = asked.kind;
	-- Where it goes is said by the event, whatever stands in the stanza.
	asked.host, asked.remote = rules.domain(event.from_host), rules.domain(event.to_host);
	asked.address = streams.address(event.from_host, event.to_host);
	local allowed, enforced = rules.verdict(asked);
	if kind ~= "answer" then seen.count(asked, allowed); end
	if allowed or not enforced then
		held.remember(asked, stanza);
		return;
	end
	if kind ~= "answer" then
		local text, decision = rules.why(asked);
		if not held.hold(asked, stanza, "self", text, decision) then answers.refuse(stanza, text, decision); end
	end
	return true;
end

---- Who may push: the session of the configured component on this server, and nothing that only says so

local function is_agent(event)
	return agent ~= "" and event.origin.type == "component" and event.origin.host == agent and jid_bare(event.stanza.attr.from) == agent;
end

local function believed(handler)
	return function (event)
		local answer = is_agent(event) and handler(event.stanza) or st.error_reply(event.stanza, "auth", "forbidden");
		event.origin.send(answer);
		return true;
	end
end

---- Every host, also those that are made later

local function guard(host)
	local here = module:context(host);
	for name in pairs(KINDS) do
		for _, place in ipairs { "bare", "full", "host" } do here:hook(name.."/"..place, inbound, 1000); end
	end
	here:hook("route/remote", outbound, 1000);
	if not is_loaded then return; end
	here:hook("iq-set/host/"..NS..":push", believed(pushes.take), 1000);
	here:hook("iq-get/host/"..NS..":status", believed(status.answer), 1000);
	streams.guard(here);
	follow.guard(here);
	if host == agent then here:hook("component-authenticated", status.greet); end
end

for host in pairs(prosody.hosts) do guard(host); end
module:hook("host-activated", guard);

if not is_loaded then error(problem, 0); end
local is_read, trouble = pcall(function () kept.load(); peers.load(); end);
if not is_read then module:log("error", "What was in force cannot be read, so that nothing passes: %s", trouble); end

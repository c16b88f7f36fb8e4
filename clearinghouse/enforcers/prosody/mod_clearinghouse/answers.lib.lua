-- What is said to others.  Sees what mod_clearinghouse.lua leaves global: NS, rules.

local jid_host = require "util.jid".host;
local st = require "util.stanza";

local NS_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
local MAX_COPY = 10000; -- bytes of a refused stanza that are sent back with the refusal

local answers = {};
answers.own = setmetatable({}, { __mode = "k" }); -- refusals that we made: they go out wherever anything does

-- Sends a stanza in the name of a host of ours.
function answers.send(stanza, host) module:context(host):send(stanza); end

-- Makes *reply*, which goes back to the sender of a stanza of type *kind*, a refusal: RFC 6120, section 8.3, with a
-- condition of our own that a module at the other side knows.
function answers.as_refusal(reply, text, decision, kind)
	reply.attr.type = "error";
	reply:tag("error", { type = "cancel" }):tag("policy-violation", { xmlns = NS_ERRORS }):up();
	return reply:text_tag("text", text, { xmlns = NS_ERRORS }):tag("refused", { xmlns = NS; decision = decision; type = kind }):reset();
end

local function refusal(stanza, text, decision)
	local reply = answers.as_refusal(st.reply(stanza), text, decision, stanza.attr.type);
	if #tostring(stanza) <= MAX_COPY then
		for child in stanza:childtags() do reply:add_child(st.clone(child)); end
	end
	return reply;
end

-- Tells the sender of *stanza*, who may be at either side, that it does not pass.
function answers.refuse(stanza, text, decision)
	local reply = refusal(stanza, text, decision);
	answers.own[reply] = true;
	local from, to = jid_host(reply.attr.from), jid_host(reply.attr.to);
	answers.send(reply, prosody.hosts[to] and to or from);
end

return answers;

-- What is said to others.  Sees what mod_clearinghouse.lua leaves global: NS, rules.

local cache = require "util.cache";
local jid_host = require "util.jid".host;
local sha256 = require "util.hashes".sha256;
local st = require "util.stanza";

local NS_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
local MAX_COPY = 10000; -- bytes of a refused stanza that are sent back with the refusal
local MAX_OWN = 1000; -- refusals that may wait for connections, of each of which 32 bytes are remembered

local answers = {};
local own = setmetatable({}, { __mode = "k" }); -- refusals that we made: they go out wherever anything does
local own_texts = cache.new(MAX_OWN); -- the same by their text, which is all that a queue has of them

-- Whether we made *stanza*, which goes out now.
function answers.is_own(stanza)
	if not own[stanza] then return false; end
	own_texts:set(sha256(tostring(stanza)), true);
	return true;
end

-- Whether the *text* in a queue is that of a refusal which we made.
function answers.is_own_text(text) return own_texts:get(sha256(text)) == true; end

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
	own[reply] = true;
	local from, to = jid_host(reply.attr.from), jid_host(reply.attr.to);
	answers.send(reply, prosody.hosts[to] and to or from);
end

return answers;

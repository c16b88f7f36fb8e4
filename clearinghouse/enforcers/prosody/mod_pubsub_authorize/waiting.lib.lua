-- What waits for an owner's answer: three indexes in memory, and one file for each bare JID, so that a request costs the same
-- however many there are.

local jid_bare = require "util.jid".bare;
local jid_host = require "util.jid".host;
local sha256 = require "util.hashes".sha256;

local waiting = {};

local store = module:open_store("pubsub_pending"); -- hash of BARE -> { jid = BARE; requests = { { node, jid, since }, ... } }

local function new_index() return { rows = {}; sizes = {} }; end
local by_node, by_bare, by_domain = new_index(), new_index(), new_index();

local function put(index, key, name, value)
	local row = index.rows[key] or {};
	local size = (index.sizes[key] or 0) + (value ~= nil and 1 or 0) - (row[name] ~= nil and 1 or 0);
	row[name] = value;
	index.rows[key], index.sizes[key] = size > 0 and row or nil, size > 0 and size or nil;
end

function waiting.is(node, jid)
	local row = by_node.rows[node];
	return row and row[jid] ~= nil;
end

local function note(node, jid, since) -- since = nil: it waits no more
	put(by_node, node, jid, since);
	local request = node.."\0"..jid; -- XML has no NUL, so that the two stay apart
	put(by_bare, jid_bare(jid), request, since and { node = node; jid = jid; since = since } or nil);
	put(by_domain, jid_host(jid), request, since);
end

local function save(bare)
	local requests = {};
	for _, request in pairs(by_bare.rows[bare] or {}) do requests[#requests+1] = request; end
	-- A JID can be longer than a file's name.
	return store:set(sha256(bare, true), requests[1] and { jid = bare; requests = requests } or nil);
end

-- Note that *jid* waits at *node* since then, or with nil that it waits no more; false where that cannot be written.
function waiting.keep(node, jid, since)
	local before = by_node.rows[node] and by_node.rows[node][jid];
	note(node, jid, since);
	local ok, err = save(jid_bare(jid));
	if not ok then
		module:log("error", "Cannot keep what waits at %s: %s", node, err);
		note(node, jid, before);
	end
	return ok;
end

function waiting.forget(node, jid) return not waiting.is(node, jid) or waiting.keep(node, jid, nil); end

function waiting.at_node(node) return by_node.rows[node] or {}, by_node.sizes[node] or 0; end -- jid -> since; how many

function waiting.of_jid(bare) return by_bare.rows[bare] or {}, by_bare.sizes[bare] or 0; end -- anything -> request; how many

function waiting.of_domain(domain) return by_domain.sizes[domain] or 0; end -- how many

function waiting.load(nodes)
	for key in store:users() do
		local record = store:get(key);
		for _, request in ipairs(record and record.requests or {}) do
			local node = nodes[request.node];
			-- We may have died between an approval and the end of its request.
			if node and not node.subscribers[request.jid] then note(request.node, request.jid, request.since); end
		end
	end
end

return waiting;

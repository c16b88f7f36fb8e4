-- What was asked, counted since the start: for each pair, direction and kind, what passed and what would not.

local MAX_KEYS = 10000; -- some 3 MB; whoever makes up more domains is counted as "*"
local MAX_NAME = 253; -- bytes: what DNS can have, and no table has more

local seen = {};
local counts, keys = {}, 0; -- key -> { local, remote, direction, kind, allowed, count }

-- Whoever is not proven yet says what he likes: of our own hosts, too, only those that there are have a name here.
local function named(asked)
	local here, there = asked.host, asked.remote;
	if not prosody.hosts[here] and not rules.image_of(here) then here = "*"; end
	if #there > MAX_NAME then there = "*"; end
	if here == asked.host and there == asked.remote then return asked; end
	return { host = here; remote = there; direction = asked.direction; kind = asked.kind };
end

function seen.count(asked, allowed)
	asked = named(asked);
	local key = asked.host.."\0"..asked.remote.."\0"..asked.direction.."\0"..asked.kind..(allowed and "+" or "-");
	local row = counts[key];
	if not row then
		local remote = asked.remote;
		if keys >= MAX_KEYS and remote ~= "*" then
			return seen.count({ host = asked.host; remote = "*"; direction = asked.direction; kind = asked.kind }, allowed);
		end
		row = { ["local"] = asked.host; remote = remote; direction = asked.direction; kind = asked.kind; allowed = allowed; count = 0 };
		counts[key], keys = row, keys + 1;
	end
	row.count = row.count + 1;
end

function seen.rows()
	local rows = {};
	for _, row in pairs(counts) do rows[#rows+1] = row; end
	return rows;
end

return seen;

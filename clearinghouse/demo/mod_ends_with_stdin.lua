-- mod_ends_with_stdin: ends the server when its standard input is closed, which its starter holds open while it lives.
module:set_global();

local server = require "net.server";

server.watchfd(0, function () prosody.shutdown("the starter has gone"); end);

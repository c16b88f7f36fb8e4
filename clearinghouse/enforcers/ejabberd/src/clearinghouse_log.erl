%% Images on the disk: for each one the pushes that made it, in order, so that it is read as it was received.
%%
%% A push that was written is kept whatever happens to this process; a file that ends in the middle of one, or
%% that somebody changed, counts up to there, and an image without its `commit` not at all.
-module(clearinghouse_log).

-export([create/1, write/2, publish/2, settle/1, close/1, names/0, read/1]).

-define(FRAME(Size, Check), Size:32, Check:32).

directory() -> filename:join(mnesia:system_info(directory), "clearinghouse").

path(Name, Extension) -> filename:join(directory(), <<(uri_string:quote(Name))/binary, Extension/binary>>).

%% A new log, which counts once it is published.
create(Name) ->
    Path = path(Name, <<".next">>),
    ok = filelib:ensure_dir(Path),
    {ok, File} = file:open(Path, [write, raw, binary]),
    File.

write(File, Push) ->
    Text = term_to_binary(Push),
    ok = file:write(File, [<<?FRAME((byte_size(Text)), (erlang:crc32(Text)))>>, Text]).

publish(File, Name) ->
    ok = file:datasync(File),
    ok = file:rename(path(Name, <<".next">>), path(Name, <<".log">>)).

%% Survives the loss of power too.
settle(File) -> file:datasync(File).

close(undefined) -> ok;
close(File) -> file:close(File).

names() ->
    [uri_string:unquote(filename:basename(unicode:characters_to_binary(Path), <<".log">>))
     || Path <- filelib:wildcard(filename:join(directory(), "*.log"))].

%% The pushes of an image, and the log, which goes on behind the last one that is whole.
read(Name) ->
    {ok, File} = file:open(path(Name, <<".log">>), [read, write, raw, binary]),
    {ok, Size} = file:position(File, eof),
    {ok, Bytes} = case Size of 0 -> {ok, <<>>}; _ -> file:pread(File, 0, Size) end,
    {Pushes, Whole} = pushes(Bytes, 0, []),
    {ok, _} = file:position(File, Whole),
    ok = file:truncate(File),
    {Pushes, File}.

pushes(<<?FRAME(Size, Check), Text:Size/binary, Left/binary>>, At, Pushes) ->
    case erlang:crc32(Text) of
        Check -> pushes(Left, At + 8 + Size, [binary_to_term(Text) | Pushes]);
        _ -> {lists:reverse(Pushes), At}
    end;
pushes(_, At, Pushes) ->
    {lists:reverse(Pushes), At}.

%% Images as the agent pushes them, as we keep them.
%%
%% Whatever is not of the protocol ends in an exception before anything has changed.
-module(clearinghouse_push).

-export([begun/1, filled/2, changed/2, ended/2, over/2, again/3, dropped/1]).

-include("clearinghouse.hrl").

%% A new image, which nobody looks at yet.
begun(#{<<"image">> := Name, <<"serial">> := Serial, <<"mode">> := Mode, <<"default">> := Default, <<"expires">> := Expires,
        <<"hosts">> := Hosts, <<"classes">> := Classes} = Push) when is_binary(Name), is_integer(Serial), is_integer(Expires) ->
    match = re:run(Name, "^[A-Za-z0-9._-]+$", [{capture, none}]),   % it becomes the name of a file
    fresh(#image{name = Name, serial = Serial, expires = Expires,
                 mode = maps:get(Mode, #{<<"enforce">> => enforce, <<"shadow">> => shadow}),
                 default = maps:get(Default, #{<<"deny">> => deny, <<"allow">> => allow}),
                 default_reason = text(maps:get(<<"default_reason">>, Push, <<>>)),
                 decision = text(maps:get(<<"decision">>, Push, <<>>)),
                 ask = maps:get(<<"ask">>, Push, false) =:= true,
                 hosts = [domain(Host) || Host <- Hosts],
                 classes = maps:map(fun class/2, Classes)}).

fresh(Image) ->
    Image#image{rows = ets:new(rows, [protected, {read_concurrency, true}]),
                grants = ets:new(grants, [protected, bag, {read_concurrency, true}])}.

class(_, #{<<"mask">> := Mask} = Class) -> {mask(Mask), text(maps:get(<<"reason">>, Class, <<>>))}.

filled(#image{rows = Rows, classes = Classes}, #{<<"do">> := <<"rows">>, <<"class">> := Class, <<"domains">> := Domains}) ->
    ets:insert(Rows, rows(Class, Domains, Classes));
filled(#image{grants = Grants}, #{<<"do">> := <<"grants">>, <<"grants">> := Pushed}) ->
    ets:insert(Grants, [grant(Grant) || Grant <- Pushed]);
filled(_, #{<<"do">> := <<"commit">>}) ->
    true.

rows(Class, Domains, Classes) when is_map_key(Class, Classes) -> [{domain(Domain), Class} || Domain <- Domains].

%% The image after the change, and whom it may concern.  First everything is read, then it is done.
changed(#image{rows = Rows, grants = Grants, classes = Classes} = Image, #{<<"serial">> := Serial} = Push) ->
    Set = lists:append([rows(Class, Domains, Classes) || {Class, Domains} <- maps:to_list(maps:get(<<"set">>, Push, #{}))]),
    Unset = [domain(Domain) || Domain <- maps:get(<<"unset">>, Push, [])],
    New = [grant(Grant) || Grant <- maps:get(<<"grants">>, Push, [])],
    Ended = [text(Id) || Id <- maps:get(<<"ended">>, Push, [])] ++ [Id || {_, Id, _} <- New],
    Next = Image#image{serial = Serial, expires = number(maps:get(<<"expires">>, Push, Image#image.expires)),
                       decision = text(maps:get(<<"decision">>, Push, Image#image.decision))},
    Old = lists:append([ets:match_object(Grants, {'_', Id, '_'}) || Id <- Ended]),
    [ets:delete_object(Grants, Entry) || Entry <- Old],
    ets:insert(Grants, New),
    ets:insert(Rows, Set),
    [ets:delete(Rows, Domain) || Domain <- Unset],
    {Next, touched(Next, [Domain || {Domain, _} <- Set] ++ Unset ++ [Domain || {Domain, _, _} <- Old ++ New])}.

%% An image that has ended concerns everybody.
touched(#image{expires = Expires}, Domains) ->
    case Expires > 0 andalso Expires =< os:system_time(second) of
        true -> all;
        false -> maps:from_list([{Domain, true} || Domain <- Domains])
    end.

%% What has ended is over for good, also if the clock goes back, and also after a restart.
ended(#image{grants = Grants, expires = Expires} = Image, Now) ->
    [ets:delete_object(Grants, Entry) || Entry <- over(Grants, Now)],
    case Expires > 0 andalso Expires =< Now of
        true -> Image#image{expires = 1};
        false -> Image
    end.

%% The grants that have ended.
over(Grants, Now) ->
    ets:select(Grants, [{{'_', '_', #grant{until = '$1', _ = '_'}}, [{'=<', '$1', Now}], ['$_']}]).

again(Image, Rows, Grants) ->
    New = fresh(Image),
    ets:insert(New#image.rows, Rows),
    ets:insert(New#image.grants, Grants),
    New.

dropped(#image{rows = Rows, grants = Grants}) -> [ets:delete(Table) || Table <- [Rows, Grants]].

grant(#{<<"id">> := Id, <<"remote">> := Remote, <<"user">> := User, <<"local">> := Local, <<"mask">> := Mask,
        <<"address">> := Address, <<"until">> := Until} = Pushed) ->
    {domain(Remote), text(Id),
     #grant{id = Id, user = jid_or_any(User), local = jid_or_any(Local), mask = mask(Mask), address = address_or_any(Address),
            until = number(Until), decision = text(maps:get(<<"decision">>, Pushed, <<>>))}}.

jid_or_any(<<"*">>) -> any;
jid_or_any(Text) -> clearinghouse_stanza:bare(jid:decode(Text)).

address_or_any(<<"*">>) -> any;
address_or_any(Text) ->
    {ok, Address} = inet:parse_address(binary_to_list(Text)),
    clearinghouse_image:address(Address).

domain(Text) -> clearinghouse_stanza:ascii(text(Text)).

text(Text) when is_binary(Text) -> Text.

number(Number) when is_integer(Number) -> Number.

mask(Mask) when is_integer(Mask), Mask >= 0 -> Mask band ?EVERYTHING.

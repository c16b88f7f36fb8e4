%% Stanzas of our users that were refused, while the agent asks whether they may go after all.
%%
%% All that one user sends of one kind to one domain is one case: the agent hears of it once and answers once.
-module(clearinghouse_held).
-behaviour(gen_server).

-export([start_link/0, refused/4, remember/1, returned/1, release/1, refuse/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("xmpp.hrl").
-include("clearinghouse.hrl").

-define(HOLD_MS, 30000).          % people take a longer silence for a loss
-define(MAX_STANZA, 16384).       % bytes of one that waits; what people write is much shorter
-define(MAX_HELD, 1000).          % stanzas in all: 16 MB
-define(MAX_HELD_PER_PAIR, 32).   % so that one domain leaves room for others
-define(MAX_CASES, 200).          % and as many events, at most, in the time that a case lasts
-define(MAX_CASES_PER_USER, 16).
-define(MAX_TEXT, 200).           % characters of a reason, as in an image
-define(MAX_SENT, 1000).          % stanzas that went out, by which a refusal from the other side is believed
-define(REMEMBER_MS, 60000).      % and twice that at most: an answer is a matter of seconds, and what people write is theirs

-record(held, {key, pair, user, expiry, stanzas = [] :: [{Sent :: stanza(), Back :: stanza()}]}).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% This stanza of ours, to a remote domain, is refused: held if that is of use, else its sender is told.
refused(Pkt, By, Text, Decision) ->
    Back = clearinghouse_stanza:refusal(Pkt, Text, Decision),
    case worth(Pkt) of
        {true, Name} -> gen_server:cast(?MODULE, {hold, Pkt, Back, By, Text, Name});
        false -> clearinghouse_stanza:answer(Pkt, Back)
    end,
    ok.

%% This one goes out.  Who refuses it must not be able to make us send what our user never sent.
remember(Pkt) ->
    case xmpp:get_id(Pkt) =/= <<>> andalso worth(Pkt) of
        {true, _} ->
            Slot = {slot, ets:update_counter(?SENT, counter, 1, {counter, 0}) rem ?MAX_SENT},
            [ets:delete(?SENT, Trace) || {_, Trace} <- ets:lookup(?SENT, Slot)],
            ets:insert(?SENT, [{Slot, trace(Pkt)}, {trace(Pkt), Pkt, erlang:monotonic_time(millisecond)}]);
        false ->
            false
    end.

%% A stanza of ours came back from a peer that has a module like this one; true if we keep it.
returned(Back) ->
    case ets:take(?SENT, trace(xmpp:set_from_to(Back, xmpp:get_to(Back), xmpp:get_from(Back)))) of
        [{_, Pkt, _}] ->
            case worth(Pkt) of
                {true, Name} -> gen_server:cast(?MODULE, {hold, Pkt, Back, peer, text(Back), Name}), true;
                false -> false
            end;
        [] ->
            false
    end.

text(Back) -> xmpp:get_text((xmpp:get_error(Back))#stanza_error.text).

trace(Pkt) -> {jid:tolower(xmpp:get_from(Pkt)), jid:tolower(xmpp:get_to(Pkt)), xmpp:get_id(Pkt)}.

%% Worth it is what a user of ours waits for, once, and as long as somebody is there to ask.
worth(Pkt) ->
    #jid{luser = User, lserver = Server} = xmpp:get_from(Pkt),
    User =/= <<>>
        andalso clearinghouse_stanza:may_wait(Pkt)
        andalso not maps:is_key(clearinghouse, xmpp:get_meta(Pkt))
        andalso ejabberd_router:is_my_host(Server)
        andalso ejabberd_router:is_my_route(agent())
        andalso erlang:external_size(Pkt) =< ?MAX_STANZA
        andalso clearinghouse_image:asks(clearinghouse_stanza:ascii(Server)).

agent() -> clearinghouse_image:setting(agent).

%% Both say whether there was such a case.
release(Id) -> gen_server:call(?MODULE, {release, Id}).

refuse(Id, Reason) -> gen_server:call(?MODULE, {refuse, Id, Reason}).

%% ---------------------------------------------------------------- the process

%% By id, and by user, pair and kind; released is what was sent again, until a peer can no longer send it back.
init([]) ->
    ets:new(?SENT, [named_table, public, {write_concurrency, true}]),
    erlang:send_after(?REMEMBER_MS, self(), tidy),
    {ok, #{cases => #{}, ids => #{}, released => #{}}}.

handle_call({release, Id}, _, State) ->
    {Case, Next} = taken(Id, State),
    {reply, Case =/= none, released(Case, Next)};
handle_call({refuse, Id, Reason}, _, State) ->
    {Case, Next} = taken(Id, State),
    [ejabberd_router:route(clearinghouse_stanza:refusal(Pkt, Reason, <<>>)) || {Pkt, _} <- stanzas(Case)],
    {reply, Case =/= none, Next}.

handle_cast({hold, Pkt, Back, By, Text, Name}, #{released := Released} = State) ->
    case is_map_key(trace(Pkt), Released) of
        true -> ejabberd_router:route(Back), {noreply, State};
        false -> {noreply, held({Pkt, Back}, By, Text, Name, State)}
    end.

handle_info({expire, Id}, State) ->
    {Case, Next} = taken(Id, State),
    [ejabberd_router:route(Back) || {_, Back} <- stanzas(Case)],
    {noreply, Next};
handle_info({forget, Trace}, #{released := Released} = State) ->
    {noreply, State#{released := maps:remove(Trace, Released)}};
handle_info(tidy, State) ->
    erlang:send_after(?REMEMBER_MS, self(), tidy),
    ets:select_delete(?SENT, [{{'_', '_', '$1'}, [{'<', '$1', erlang:monotonic_time(millisecond) - ?REMEMBER_MS}], [true]}]),
    {noreply, State};
handle_info(_, State) ->
    {noreply, State}.

terminate(_, #{cases := Cases}) -> [ejabberd_router:route(Back) || Case <- maps:values(Cases), {_, Back} <- stanzas(Case)].

held({Pkt, Back} = Entry, By, Text, Name, #{cases := Cases, ids := Ids} = State) ->
    Pair = clearinghouse_stanza:pair(Pkt),
    User = clearinghouse_stanza:bare(xmpp:get_from(Pkt)),
    Key = {Pair, User, clearinghouse_stanza:kind(Pkt)},
    Found = maps:get(Key, Ids, none),
    case is_full(Pair, User, Found, maps:values(Cases)) of
        true ->
            ejabberd_router:route(Back),
            State;
        false when Found =:= none ->
            Id = binary:encode_hex(crypto:strong_rand_bytes(8)),
            Timer = erlang:send_after(?HOLD_MS, self(), {expire, Id}),
            tell(Id, Key, Pkt, By, Text, Name),
            Case = #held{key = Key, pair = Pair, user = User, expiry = Timer, stanzas = [Entry]},
            State#{cases := Cases#{Id => Case}, ids := Ids#{Key => Id}};
        false ->
            #held{stanzas = Stanzas} = Case = maps:get(Found, Cases),
            State#{cases := Cases#{Found := Case#held{stanzas = [Entry | Stanzas]}}}
    end.

is_full(Pair, User, Found, Cases) ->
    Of = fun(P) -> lists:sum([length(Stanzas) || #held{pair = This, stanzas = Stanzas} <- Cases, P =:= any orelse P =:= This]) end,
    Of(any) >= ?MAX_HELD orelse Of(Pair) >= ?MAX_HELD_PER_PAIR
        orelse Found =:= none andalso (length(Cases) >= ?MAX_CASES
                                       orelse length([U || #held{user = U} <- Cases, U =:= User]) >= ?MAX_CASES_PER_USER).

tell(Id, {{Local, Remote}, User, Kind}, Pkt, By, Text, Name) ->
    ejabberd_router:route(clearinghouse_stanza:event((xmpp:get_from(Pkt))#jid.lserver, agent(),
        #{event => refused, held => Id, image => Name, local => Local, remote => Remote, user => User,
          to => clearinghouse_stanza:bare(xmpp:get_to(Pkt)), kind => Kind, by => By, text => short(Text)})).

%% What another server wrote may be as long as a stanza.
short(Text) -> unicode:characters_to_binary(lists:sublist(unicode:characters_to_list(Text), ?MAX_TEXT)).

taken(Id, #{cases := Cases, ids := Ids} = State) ->
    case maps:take(Id, Cases) of
        {#held{expiry = Expiry, key = Key} = Case, Left} ->
            erlang:cancel_timer(Expiry),
            {Case, State#{cases := Left, ids := maps:remove(Key, Ids)}};
        error ->
            {none, State}
    end.

stanzas(none) -> [];
stanzas(#held{stanzas = Stanzas}) -> lists:reverse(Stanzas).

%% Send again what waited; a peer that refused our stream is asked at once.
released(Case, #{released := Released} = State) ->
    Sent = [Pkt || {Pkt, _} <- stanzas(Case)],
    [clearinghouse_streams:retry(Pair) || Pair <- lists:usort([raw_pair(Pkt) || Pkt <- Sent])],
    [ejabberd_router:route(xmpp:put_meta(Pkt, clearinghouse, released)) || Pkt <- Sent],
    [erlang:send_after(?HOLD_MS, self(), {forget, trace(Pkt)}) || Pkt <- Sent],
    State#{released := maps:merge(Released, maps:from_list([{trace(Pkt), true} || Pkt <- Sent]))}.

%% As ejabberd knows the pair, which may spell it otherwise than we do.
raw_pair(Pkt) -> {(xmpp:get_from(Pkt))#jid.lserver, (xmpp:get_to(Pkt))#jid.lserver}.

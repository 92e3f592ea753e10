using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>Made-up histories: what is to be named, and what is not.</summary>
public sealed class UnusualUseTests
{
    private static readonly DateTimeOffset Start = new(2026, 3, 2, 9, 0, 0, TimeSpan.Zero);
    private static readonly LedgerActor Bot = new("ana", "mercury", "bot", 1);
    private readonly List<LedgerEntry> _history = [];

    [Fact]
    public void A_steady_use_has_nothing_unusual()
    {
        UseInOfficeHours(days: 200);
        for (var day = 0; day < 200; day += 20)
        {
            // more on some days, by somebody known
            Use(Start.AddDays(day).AddHours(2), Bot, count: 40);
        }

        Assert.Empty(Find());
    }

    [Fact]
    public void The_first_days_teach_and_raise_no_alarm()
    {
        for (var hour = 0; hour < 24 * 10; hour++)
        {
            Use(Start.AddHours(hour), Bot with { Process = "process" + (hour % 9) }, count: hour);
        }

        Assert.Empty(Find());
    }

    [Fact]
    public void An_actor_that_is_new_to_a_secret_is_named_once()
    {
        UseInOfficeHours(days: 30);
        Use(Start.AddDays(30).AddHours(1), Bot with { Process = "curl" });
        Use(Start.AddDays(30).AddHours(2), Bot with { Process = "curl" });
        Use(Start.AddDays(30).AddHours(3), Bot with { ProcessId = 77 });

        var found = Assert.Single(Find());
        Assert.Equal(("new-actor", "ana@mercury curl never used it before; 1 other did"), (found.Rule, found.Reason));
        Assert.Equal(Start.AddDays(30).AddHours(1), found.Entry.Time);
    }

    [Fact]
    public void A_burst_against_its_own_past_is_named_once_an_hour()
    {
        UseInOfficeHours(days: 30);
        for (var minute = 0; minute < 50; minute++)
        {
            Use(Start.AddDays(30).AddMinutes(minute), Bot, count: 4);
        }

        var found = Assert.Single(Find());
        Assert.Equal(("burst", "52 uses within an hour, and never more than 1 before"), (found.Rule, found.Reason));
    }

    [Fact]
    public void What_was_as_much_before_is_no_burst()
    {
        UseInOfficeHours(days: 30);
        Use(Start.AddDays(5).AddMinutes(30), Bot, count: 100);
        Use(Start.AddDays(30).AddMinutes(5), Bot, count: 400);

        Assert.Empty(Find());
    }

    [Fact]
    public void A_use_that_stays_at_a_new_height_is_a_burst_once()
    {
        UseInOfficeHours(days: 30);
        for (var hour = 0; hour < 24 * 20; hour++)
        {
            if (hour % 24 < 9)
            {
                Use(Start.AddDays(30).AddHours(hour).AddMinutes(1), Bot, count: 60);
            }
        }

        Use(Start.AddDays(60), Bot, count: 61 * 5);
        IReadOnlyList<string> reasons = Find().ConvertAll(found => found.Reason);
        Assert.Equal(["60 uses within an hour, and never more than 1 before", "305 uses within an hour, and never more than 60 before"], reasons);
    }

    [Fact]
    public void Clocks_that_differ_at_the_end_of_an_hour_make_no_burst_of_every_entry()
    {
        UseInOfficeHours(days: 30);
        for (var i = 0; i < 100; i++)
        {
            Add(Start.AddDays(30).AddHours(1).AddSeconds(i % 2 == 0 ? -1 : 1), LedgerKind.Read, Bot, 1, 10 + i);
        }

        Assert.True(Find(inOrderOfTime: false).Count <= 2);
    }

    [Fact]
    public void Counts_that_no_number_holds_are_no_error()
    {
        UseInOfficeHours(days: 30);
        Use(Start.AddDays(30).AddMinutes(1), Bot, count: long.MaxValue);
        Use(Start.AddDays(30).AddMinutes(2), Bot, count: long.MaxValue);
        Use(Start.AddDays(31).AddMinutes(1), Bot, count: long.MaxValue);

        Assert.Equal("burst", Assert.Single(Find()).Rule);
    }

    [Fact]
    public void An_hour_that_was_never_used_before_is_named()
    {
        UseInOfficeHours(days: 30);
        Use(Start.AddDays(30).AddHours(18), Bot);

        var found = Assert.Single(Find());
        Assert.Equal(("new-hour", "it was never used between 02:00 and 04:59 UTC before"), (found.Rule, found.Reason));
    }

    [Fact]
    public void Office_hours_in_summer_time_are_no_new_hours()
    {
        UseInOfficeHours(days: 30);
        for (var day = 30; day < 60; day++)
        {
            Use(Start.AddDays(day).AddHours(-1), Bot);
            Use(Start.AddDays(day).AddHours(9), Bot);
        }

        Assert.Empty(Find());
    }

    [Fact]
    public void One_busy_day_teaches_no_pattern()
    {
        Use(Start, Bot, count: 3000);
        Use(Start.AddDays(20).AddHours(6), Bot with { Process = "editor" }, count: 40);
        Use(Start.AddDays(21).AddHours(12), Bot with { Process = "shell" });

        Assert.Empty(Find());
    }

    [Fact]
    public void A_host_that_is_new_is_named_where_few_are_used()
    {
        UseInOfficeHours(days: 30);
        Use(Start.AddDays(30).AddHours(1), Bot with { Host = "mars" });
        Use(Start.AddDays(30).AddHours(2), Bot with { Host = "mars" });

        var found = Assert.Single(Find());
        Assert.Equal(("new-actor", "ana used it with bot on 1 other host, and never on mars before"), (found.Rule, found.Reason));
    }

    [Fact]
    public void Containers_that_each_are_a_host_of_their_own_are_nothing_new()
    {
        for (var day = 0; day < 100; day++)
        {
            Use(Start.AddDays(day), Bot with { Host = "pod-" + day });
        }

        Use(Start.AddDays(100), new LedgerActor("eve", "pod-100", "bot", 1));
        Assert.Equal("eve@pod-100 bot never used it before; 1 other did", Assert.Single(Find()).Reason);
    }

    [Fact]
    public void An_old_version_is_named_once_a_day_when_the_new_one_has_had_time_to_arrive()
    {
        UseInOfficeHours(days: 3);
        Change(Start.AddDays(4), LedgerKind.Updated, version: 2);
        Use(Start.AddDays(4).AddMinutes(30), Bot);
        Use(Start.AddDays(4).AddHours(2), Bot);
        Use(Start.AddDays(4).AddHours(2.5), Bot);
        Use(Start.AddDays(4).AddHours(3), Bot, version: 2);
        Use(Start.AddDays(5).AddHours(3), Bot);

        Assert.Equal(
            [("old-version", Start.AddDays(4).AddHours(2)), ("old-version", Start.AddDays(5).AddHours(3))],
            Find().Select(found => (found.Rule, found.Entry.Time)));
        Assert.Equal("version 1 was used, which version 2 had replaced at 2026-03-06T09:00:00.000Z", Find()[0].Reason);
    }

    [Theory]
    [InlineData(LedgerKind.Updated)]
    [InlineData(LedgerKind.Rotated)]
    [InlineData(LedgerKind.RolledBack)]
    public void A_version_within_its_grace_is_not_old(LedgerKind kind)
    {
        UseInOfficeHours(days: 3);
        Change(Start.AddDays(4), kind, version: 2, graceEnds: Start.AddDays(5));
        Use(Start.AddDays(4).AddHours(20), Bot);
        Assert.Empty(Find());

        Use(Start.AddDays(5).AddHours(1), Bot);
        Assert.Equal("old-version", Assert.Single(Find()).Rule);
    }

    [Fact]
    public void A_version_stays_current_whose_replacement_did_not_reach_the_vault()
    {
        Change(Start, LedgerKind.Created, version: 1, generation: 2);
        Change(Start.AddDays(1), LedgerKind.Rotated, version: 2, generation: 3);
        Add(Start.AddDays(1), LedgerKind.Aborted, Bot, version: null, generation: 2, secret: null);
        Use(Start.AddDays(2), Bot);
        Assert.Empty(Find());

        // its number is given again
        Change(Start.AddDays(3), LedgerKind.Rotated, version: 2, generation: 4);
        Use(Start.AddDays(3).AddHours(2), Bot);
        Assert.Equal("old-version", Assert.Single(Find()).Rule);
    }

    [Fact]
    public void A_change_that_was_cut_off_has_replaced_nothing_also_before_that_is_told()
    {
        Change(Start, LedgerKind.Created, version: 1, generation: 2);
        Change(Start.AddDays(1), LedgerKind.Updated, version: 2, generation: 3);
        Use(Start.AddDays(2), Bot);
        Assert.Empty(Find(vault: 2));
        Assert.Equal("old-version", Assert.Single(Find(vault: 3)).Rule);

        Add(Start.AddDays(3), LedgerKind.Aborted, Bot, version: null, generation: 2, secret: null);
        Assert.Empty(Find(vault: 4));
    }

    [Fact]
    public void A_version_of_another_secret_or_of_before_is_replaced_all_the_same()
    {
        Change(Start, LedgerKind.Created, version: 1, generation: 2);
        Change(Start.AddDays(1), LedgerKind.Updated, version: 2, generation: 3);
        Add(Start.AddDays(2), LedgerKind.Updated, Bot, 5, generation: 4, secret: "other");
        // as it was written before the generation stood there
        Add(Start.AddDays(2), LedgerKind.Aborted, Bot, version: null, secret: null);
        Use(Start.AddDays(3), Bot);

        Assert.Equal("old-version", Assert.Single(Find()).Rule);
    }

    [Fact]
    public void After_an_older_state_was_put_back_its_versions_are_the_current_ones()
    {
        Change(Start, LedgerKind.Created, version: 1, generation: 2);
        Change(Start.AddDays(1), LedgerKind.Updated, version: 2, generation: 3);
        Change(Start.AddDays(2), LedgerKind.Updated, version: 3, generation: 4);
        Add(Start.AddDays(3), LedgerKind.Restored, Bot, version: null, generation: 3, secret: null);
        Add(Start.AddDays(3), LedgerKind.Restored, Bot, version: null, generation: 6, secret: null);
        Use(Start.AddDays(4), Bot, version: 2);
        Assert.Empty(Find());

        Use(Start.AddDays(5), Bot, version: 1);
        Assert.Equal("version 1 was used, which version 2 had replaced at 2026-03-03T09:00:00.000Z", Assert.Single(Find()).Reason);
    }

    [Fact]
    public void A_version_that_was_rolled_back_is_old_and_the_one_that_has_its_value_is_not()
    {
        Change(Start, LedgerKind.Created, version: 1, generation: 2);
        Change(Start.AddDays(1), LedgerKind.Updated, version: 2, generation: 3);
        Change(Start.AddDays(2), LedgerKind.RolledBack, version: 3, generation: 4);
        Add(Start.AddDays(2), LedgerKind.Merged, Bot, version: null, generation: 6, secret: null);
        Use(Start.AddDays(3), Bot, version: 3);
        Assert.Empty(Find());

        Use(Start.AddDays(3), Bot, version: 2);
        Assert.Equal("old-version", Assert.Single(Find()).Rule);
    }

    [Fact]
    public void A_use_after_months_of_silence_is_named()
    {
        UseInOfficeHours(days: 5);
        Use(Start.AddDays(60), Bot);
        Use(Start.AddDays(200), Bot);

        var found = Assert.Single(Find());
        Assert.Equal(("silence", "nobody had used it for 140 days"), (found.Rule, found.Reason));
    }

    [Fact]
    public void The_first_use_months_after_a_secret_was_made_is_one_too()
    {
        Change(Start, LedgerKind.Created, version: 1);
        Change(Start.AddDays(100), LedgerKind.Rotated, version: 2);
        Use(Start.AddDays(101), Bot, version: 2);
        Assert.Equal("nobody had used it for 101 days", Assert.Single(Find()).Reason);

        _history.Clear();
        Use(Start.AddDays(101), Bot);
        Assert.Empty(Find());
    }

    [Fact]
    public void Secrets_have_patterns_of_their_own()
    {
        UseInOfficeHours(days: 30);
        Add(Start.AddDays(30), LedgerKind.Read, Bot with { Process = "curl" }, 1, 1, "other");

        Assert.Empty(Find());
    }

    private void UseInOfficeHours(int days)
    {
        for (var hour = 0; hour < days * 24; hour++)
        {
            if (hour % 24 < 9)
            {
                Use(Start.AddHours(hour), Bot);
            }
        }
    }

    private void Use(DateTimeOffset time, LedgerActor actor, int version = 1, long count = 1) => Add(time, LedgerKind.Read, actor, version, count);

    private void Change(DateTimeOffset time, LedgerKind kind, int version, long? generation = null, DateTimeOffset? graceEnds = null) =>
        Add(time, kind, Bot, version, generation: generation, graceEnds: graceEnds);

    private void Add(
        DateTimeOffset time, LedgerKind kind, LedgerActor actor, int? version, long count = 1, string? secret = "key", long? generation = null, DateTimeOffset? graceEnds = null) =>
        _history.Add(new LedgerEntry(_history.Count, time, kind, secret, version, "vault", actor, null, count, generation, null) { GraceEnds = graceEnds });

    private List<UnusualUse> Find(bool inOrderOfTime = true, long? vault = null)
    {
        List<LedgerEntry> history = [.. inOrderOfTime ? _history.OrderBy(entry => entry.Time) : _history.AsEnumerable()];
        return [.. history.SelectMany(new UnusualUses(UnusualUses.FindUnmade(history, vault)).Add)];
    }
}

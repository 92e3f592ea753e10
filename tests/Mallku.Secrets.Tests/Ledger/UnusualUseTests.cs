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
    public void An_hour_that_was_never_used_before_is_named()
    {
        UseInOfficeHours(days: 30);
        Use(Start.AddDays(30).AddHours(18), Bot);

        var found = Assert.Single(Find());
        Assert.Equal(("new-hour", "it was never used between 03:00 and 03:59 UTC before"), (found.Rule, found.Reason));
    }

    [Fact]
    public void An_old_version_is_named_when_the_new_one_has_had_time_to_arrive()
    {
        UseInOfficeHours(days: 3);
        Add(Start.AddDays(4), LedgerKind.Updated, Bot, 2, 1);
        Use(Start.AddDays(4).AddMinutes(30), Bot);
        Use(Start.AddDays(4).AddHours(2), Bot);
        Use(Start.AddDays(4).AddHours(3), Bot, version: 2);

        var found = Assert.Single(Find());
        Assert.Equal("old-version", found.Rule);
        Assert.Equal(Start.AddDays(4).AddHours(2), found.Entry.Time);
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

    private void Add(DateTimeOffset time, LedgerKind kind, LedgerActor actor, int version, long count, string secret = "key") =>
        _history.Add(new LedgerEntry(_history.Count, time, kind, secret, version, "vault", actor, null, count, null, null));

    private List<UnusualUse> Find()
    {
        var uses = new UnusualUses();
        return [.. _history.OrderBy(entry => entry.Time).SelectMany(uses.Add)];
    }
}

using CsCheck;
using Mallku.Secrets.Crypto;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Crypto;

public sealed class FernetTimeTests
{
    private static readonly DateTimeOffset Made = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly TimeSpan Tick = new(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    // made in the first second of the year 10000, at the end of Int64, just beyond it, and at the end of what eight bytes hold
    public static TheoryData<ulong> BeyondTheCalendar => [253_402_300_800, long.MaxValue, 1UL << 63, ulong.MaxValue];

    [Fact]
    public void A_token_is_good_for_its_time_to_live_in_whole_seconds_and_a_minute_before_it_was_made()
    {
        Assert.All(
            new (TimeSpan Age, TimeSpan TimeToLive, bool IsGood)[]
            {
                (TimeSpan.Zero, TimeSpan.Zero, true),
                (Tick, TimeSpan.Zero, true),
                (Second - Tick, TimeSpan.Zero, true),
                (Second, TimeSpan.Zero, false),
                (Minute, Minute, true),
                (Minute + Second - Tick, Minute, true),
                (Minute + Second, Minute, false),
                (Minute - Tick, Minute, true),
                (-Minute, TimeSpan.Zero, true),
                (-Minute - Tick, TimeSpan.Zero, false),
                (-Minute - Tick, TimeSpan.MaxValue, false),
                (TimeSpan.FromDays(365_000), TimeSpan.MaxValue, true),
                (TimeSpan.Zero, TimeSpan.MinValue, false),
                (TimeSpan.Zero, -Tick, false),
                (-Minute, -Minute, true),
            },
            edge => Assert.Equal(edge.IsGood, IsGood(Made + edge.Age, Made.ToUnixTimeSeconds(), edge.TimeToLive)));
    }

    [Fact]
    public void Without_a_time_to_live_no_time_is_too_late_or_too_early() =>
        Gen.Select(Gen.DateTimeOffset, Gen.Long).Sample((now, time) => Assert.True(IsGood(now, time, timeToLive: null)), iter: 200);

    [Theory]
    [MemberData(nameof(BeyondTheCalendar))]
    public void A_time_beyond_the_calendar_is_never_timely_and_harms_nothing(ulong seconds)
    {
        var time = unchecked((long)seconds);
        Assert.All([DateTimeOffset.UnixEpoch, Made, DateTimeOffset.MaxValue], now =>
        {
            Assert.True(IsGood(now, time, timeToLive: null));
            Assert.All([TimeSpan.MinValue, TimeSpan.Zero, TimeSpan.MaxValue], timeToLive => Assert.False(IsGood(now, time, timeToLive)));
        });

        using var fernet = FernetSamples.Open(FernetSamples.Key);
        Assert.False(Fernet.TryGetTimestamp(fernet.EncryptAt("x"u8, time), out var stamp));
        Assert.Equal(default, stamp);
    }

    [Fact]
    public void The_last_second_of_the_calendar_is_a_time_like_any_other()
    {
        const long Last = 253_402_300_799;
        Assert.True(IsGood(DateTimeOffset.MaxValue, Last, TimeSpan.FromSeconds(1)));
        Assert.False(IsGood(DateTimeOffset.UnixEpoch, Last, TimeSpan.MaxValue));
    }

    [Fact]
    public void A_token_carries_the_whole_second_of_the_clock_in_which_it_was_made()
    {
        var clock = new FakeTimeProvider(Made.AddMilliseconds(999));
        using var fernet = FernetSamples.Open(clock, FernetSamples.Key);
        Assert.Equal(Made, TimestampOf(fernet.Encrypt("x"u8)));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(Made.AddSeconds(1), TimestampOf(fernet.Encrypt("x"u8)));

        static DateTimeOffset TimestampOf(byte[] token)
        {
            Assert.True(Fernet.TryGetTimestamp(token, out var time));
            return time;
        }
    }

    [Fact]
    public void A_clock_before_1970_makes_a_token_that_is_never_timely()
    {
        using var fernet = FernetSamples.Open(new FakeTimeProvider(DateTimeOffset.UnixEpoch.AddSeconds(-1)), FernetSamples.Key);
        var token = fernet.Encrypt("x"u8);
        Assert.Equal("x"u8, fernet.Decrypt(token));
        Assert.False(fernet.TryDecrypt(token, new byte[16], out _, TimeSpan.MaxValue));
        Assert.False(Fernet.TryGetTimestamp(token, out _));
    }

    [Fact]
    public void What_is_no_token_has_no_timestamp()
    {
        using var fernet = FernetSamples.Open(FernetSamples.Key);
        var token = fernet.Encrypt("x"u8);
        Assert.True(Fernet.TryGetTimestamp(token, out _));
        for (var length = 0; length < token.Length; length++)
        {
            Assert.False(Fernet.TryGetTimestamp(token.AsSpan(..length), out _));
        }

        Assert.False(Fernet.TryGetTimestamp(FernetSamples.Sign(0x81, 0, new byte[16]), out _));
        token[5] = (byte)'%';
        Assert.False(Fernet.TryGetTimestamp(token, out _));
    }

    private static bool IsGood(DateTimeOffset now, long time, TimeSpan? timeToLive)
    {
        using var fernet = FernetSamples.Open(new FakeTimeProvider(now), FernetSamples.Key);
        var token = fernet.EncryptAt("hello"u8, time);
        var buffer = new byte[16];
        var isGood = fernet.TryDecrypt(token, buffer, out var written, timeToLive);
        Assert.Equal(isGood ? "hello"u8 : [], buffer.AsSpan(..written));
        Assert.Equal(isGood, Record.Exception(() => fernet.Decrypt(token, timeToLive)) is null);
        return isGood;
    }
}

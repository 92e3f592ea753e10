using System.Globalization;
using Mallku.Secrets.Rotation;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Terminal;

/// <summary>How long, as people write it: <c>30m</c>, <c>12h</c>, <c>7d</c>, <c>2w</c>, and <c>0</c>.</summary>
internal static class Duration
{
    private const int MostDays = 36_600;

    internal static bool TryParse(string text, out TimeSpan duration)
    {
        var seconds = text is [.., var unit] ? unit switch { 'm' => 60L, 'h' => 3600L, 'd' => 86_400L, 'w' => 604_800L, _ => 0L } : 0L;
        duration = default;
        if (seconds == 0)
        {
            return text == "0";
        }

        if (!int.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            || number * seconds > MostDays * 86_400L)
        {
            return false;
        }

        duration = TimeSpan.FromSeconds(number * seconds);
        return true;
    }

    /// <exception cref="UsageException">It is none, or longer than a version may be used beside its successor.</exception>
    internal static TimeSpan ParseGrace(string text) => Parse(text, "--grace") is var grace && grace <= VersionMoves.LongestGrace
        ? grace
        : throw new UsageException($"a grace is at most {VersionMoves.LongestGrace.Days} days", "write it as: --grace 24h");

    /// <exception cref="UsageException">It is none, or no time after which a version can be replaced.</exception>
    internal static TimeSpan ParseEvery(string text) =>
        Parse(text, "--every") is var every && every >= RotationSchedule.Shortest && every <= RotationSchedule.Longest
            ? every
            : throw new UsageException($"a secret is rotated every minute at most, and every {RotationSchedule.Longest.Days} days at least", "write it as: --every 90d, or --every never");

    /// <exception cref="UsageException">It is none.</exception>
    internal static TimeSpan Parse(string text, string option) => TryParse(text, out var duration)
        ? duration
        : throw new UsageException($"{option} needs how long", $"write it as: {option} 24h (30m, 12h, 7d, 2w)");
}

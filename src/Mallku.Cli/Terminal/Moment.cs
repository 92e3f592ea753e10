using System.Globalization;

namespace Mallku.Cli.Terminal;

/// <summary>Times as people and as programs read them.</summary>
internal static class Moment
{
    /// <summary>What fits the channel: how long ago at a terminal, ISO 8601 in UTC in a pipe.</summary>
    internal static string Show(DateTimeOffset? moment, DateTimeOffset now, Channel channel) =>
        moment is not { } known ? "-" : channel.IsTerminal ? Ago(known, now) : Iso(known);

    internal static string Iso(DateTimeOffset moment) =>
        moment.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    internal static string Ago(DateTimeOffset moment, DateTimeOffset now)
    {
        var age = now - moment;
        return age switch
        {
            { Ticks: < 0 } => "in the future",
            { TotalMinutes: < 1 } => "just now",
            { TotalHours: < 1 } => Count((int)age.TotalMinutes, "minute"),
            { TotalDays: < 1 } => Count((int)age.TotalHours, "hour"),
            { TotalDays: < 60 } => Count((int)age.TotalDays, "day"),
            { TotalDays: < 730 } => Count((int)(age.TotalDays / 30.4), "month"),
            _ => Count((int)(age.TotalDays / 365.25), "year"),
        };
    }

    private static string Count(int number, string unit) => $"{number} {unit}{(number == 1 ? "" : "s")} ago";
}

using System.Globalization;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>Which entries of the ledger are asked for; null asks for all.</summary>
/// <param name="Secret">A secret, as a lookup would match it.</param>
/// <param name="Actor">A user, <c>user@host</c>, a host, a program or a voice.</param>
/// <param name="Since">Not before.</param>
/// <param name="Kind">What happened.</param>
internal sealed record EntryFilter(string? Secret, string? Actor, DateTimeOffset? Since, LedgerKind? Kind)
{
    /// <summary>The secret's pseudonym, under which an entry may have it whose name nobody knows.</summary>
    private string? Pseudonym { get; init; }

    /// <summary>The same for the entries of a ledger, which has pseudonyms of its own.</summary>
    internal EntryFilter For(OpenedLedger ledger) => Secret is null ? this : this with { Pseudonym = ledger.Pseudonyms.Of(Secret) };

    internal bool Takes(LedgerEntry entry) =>
        (Kind is null || entry.Kind == Kind)
        && (Since is null || entry.Time >= Since)
        && (Secret is null || IsAbout(entry, Secret))
        && (Actor is null || IsBy(entry.Actor));

    /// <summary>Reads a date, a time, or how long ago it was: <c>12h</c>, <c>7d</c>.</summary>
    /// <exception cref="UsageException">It is none of them.</exception>
    internal static DateTimeOffset ParseSince(string text, DateTimeOffset now)
    {
        if (DateTimeOffset.TryParseExact(
            text,
            ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm'Z'", "yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", "yyyy-MM-dd'T'HH:mm:sszzz", "yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd HH:mm", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm:ss"],
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal,
            out var moment))
        {
            return moment;
        }

        return Duration.TryParse(text, out var ago) && ago > TimeSpan.Zero
            ? now - ago
            : throw new UsageException("--since is neither a time nor how long ago", "write a date (2026-11-24), a time in UTC (2026-11-24T10:21:31Z), or such as 12h or 7d");
    }

    private bool IsAbout(LedgerEntry entry, string secret) =>
        entry.Secret is not null
        && (SecretName.Existing(entry.Secret).Fold() == SecretName.Existing(secret).Fold() || (entry.Pseudonym is { } pseudonym && (pseudonym == Pseudonym || pseudonym == secret)));

    private bool IsBy(LedgerActor actor) =>
        Actor == actor.User || Actor == actor.Host || Actor == actor.Process || Actor == actor.Voice || Actor == $"{actor.User}@{actor.Host}";
}

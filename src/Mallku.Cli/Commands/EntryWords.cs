using System.Text;
using System.Text.Json;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;

namespace Mallku.Cli.Commands;

/// <summary>An entry of the ledger as people and as programs read it.</summary>
internal static class EntryWords
{
    /// <summary>One line: when, what, who and for what.</summary>
    internal static string Describe(LedgerEntry entry)
    {
        var text = new StringBuilder();
        text.Append($"{Moment.Iso(entry.Time)} {Show(entry.KindText)}");
        Append(text, " ", entry.Secret);
        Append(text, ", version ", entry.Version?.ToString());
        Append(text, ", from ", entry.Source);
        text.Append(entry.Count == 1 ? "" : $", {entry.Count} times");
        text.Append($", by {Actor(entry.Actor)}, {Show(entry.Actor.Process)} {entry.Actor.ProcessId}");
        Append(text, ", for ", entry.Purpose);
        Append(text, ", the version before until ", entry.GraceEnds is { } ends ? Moment.Iso(ends) : null);
        Append(text, ": ", entry.Note);
        return text.ToString();
    }

    /// <summary>Whoever did it: the voice where one is known, and the user.</summary>
    internal static string Actor(LedgerActor actor) =>
        actor.Voice is null ? $"{Show(actor.User)}@{Show(actor.Host)}" : $"{Show(actor.Voice)} ({Show(actor.User)}@{Show(actor.Host)})";

    /// <summary>A text of an entry, which anybody may have chosen, or <c>-</c>.</summary>
    internal static string Show(string? text) => text is null ? "-" : SecretsException.ShowAll(text);

    internal static void WriteJson(Utf8JsonWriter writer, LedgerEntry entry) => WriteJson(writer, entry, instance: null);

    /// <param name="writer">Where to.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="instance">Of which of a shared store's instances it is; null where that is not asked.</param>
    internal static void WriteJson(Utf8JsonWriter writer, LedgerEntry entry, string? instance)
    {
        writer.WriteStartObject();
        if (instance is not null)
        {
            writer.WriteString("instance", instance);
        }

        writer.WriteNumber("index", entry.Index);
        writer.WriteTimeOrNull("time", entry.Time);
        writer.WriteString("kind", entry.KindText);
        writer.WriteString("secret", entry.Secret);
        writer.WriteString("pseudonym", entry.Pseudonym);
        writer.WriteNumberOrNull("version", entry.Version);
        writer.WriteString("source", entry.Source);
        writer.WriteStartObject("actor");
        writer.WriteString("user", entry.Actor.User);
        writer.WriteString("host", entry.Actor.Host);
        writer.WriteString("process", entry.Actor.Process);
        writer.WriteNumber("pid", entry.Actor.ProcessId);
        writer.WriteString("voice", entry.Actor.Voice);
        writer.WriteEndObject();
        writer.WriteString("purpose", entry.Purpose);
        writer.WriteNumber("count", entry.Count);
        writer.WriteNumberOrNull("generation", entry.Generation);
        writer.WriteTimeOrNull("graceEnds", entry.GraceEnds);
        writer.WriteString("note", entry.Note);
        writer.WriteEndObject();
    }

    private static void Append(StringBuilder text, string before, string? part)
    {
        if (part is not null)
        {
            text.Append(before).Append(Show(part));
        }
    }
}

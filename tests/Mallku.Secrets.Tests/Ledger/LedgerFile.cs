using System.Text.Json;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>A ledger as another program reads it: lines of JSON.</summary>
internal static class LedgerFile
{
    public static string Folder(TemporaryFolder folder) => Path.Combine(folder.Vault, "ledger");

    public static string Segment(TemporaryFolder folder) => Path.Combine(Folder(folder), "00000000000000000000.jsonl");

    public static string Checkpoint(TemporaryFolder folder) => Path.Combine(Folder(folder), "checkpoint");

    /// <summary>Each entry as "kind secret version source count".</summary>
    public static IReadOnlyList<string> Summarize(TemporaryFolder folder) => Summarize(folder, "kind", "secret", "version", "source", "count");

    public static IReadOnlyList<string> Summarize(TemporaryFolder folder, params string[] members) =>
    [
        .. File.ReadLines(Segment(folder)).Select(line =>
        {
            using var json = JsonDocument.Parse(line);
            var entry = json.RootElement;
            return string.Join(
                ' ',
                members.Select(name => entry.TryGetProperty(name, out var value) ? value.ToString() : "-"));
        }),
    ];

    /// <summary>The lines after those that were there.</summary>
    public static IReadOnlyList<string> Since(TemporaryFolder folder, int count) => [.. Summarize(folder).Skip(count)];

    public static int Count(TemporaryFolder folder) => File.ReadLines(Segment(folder)).Count();

}

using System.Text.Json;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>A ledger as another program reads it: lines of JSON.</summary>
internal static class LedgerFile
{
    public static string Folder(TemporaryFolder folder) => Path.Combine(folder.Vault, "ledger");

    public static string Segment(TemporaryFolder folder) => Path.Combine(Folder(folder), "00000000000000000000.jsonl");

    public static string Checkpoint(TemporaryFolder folder) => Path.Combine(Folder(folder), "checkpoint");

    /// <summary>Each entry as "kind secret version source count".</summary>
    public static IReadOnlyList<string> Summarize(TemporaryFolder folder) => Summarize(Folder(folder));

    public static IReadOnlyList<string> Summarize(TemporaryFolder folder, params string[] members) => Summarize(Folder(folder), members);

    /// <summary>The same of a ledger that lies anywhere.</summary>
    public static IReadOnlyList<string> Summarize(string ledger) => Summarize(ledger, "kind", "secret", "version", "source", "count");

    private static string[] Summarize(string ledger, params string[] members) =>
    [
        .. File.ReadLines(Path.Combine(ledger, "00000000000000000000.jsonl")).Select(line =>
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

    /// <summary>Leaves what a kill leaves between the entry of a change and the change. Returns the vault's generation.</summary>
    public static async Task<long> CutChangeOffAsync(FileVault vault) => await vault.WriteAsync(
        async opened =>
        {
            var from = opened.Document.Generation;
            (await vault.Writer.CommitAsync(opened.Document, from, [new LedgerEvent(LedgerKind.Updated, "a", 9, "vault")])).Dispose();
            return from;
        },
        TestContext.Current.CancellationToken);

    public static int Count(TemporaryFolder folder) => File.ReadLines(Segment(folder)).Count();
}

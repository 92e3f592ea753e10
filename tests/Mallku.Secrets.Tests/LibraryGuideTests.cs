#pragma warning disable xUnit1051 // the examples are as a reader would write them

using Mallku.Secrets.Crypto;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests;

/// <summary>The examples of docs/guide/library.md, line by line: what is here compiles and runs, and is what stands there.</summary>
public sealed class LibraryGuideTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Every_example_of_the_guide_is_compiled()
    {
        var source = Lines(File.ReadAllText(Find("LibraryGuideTests.cs")));
        var examples = File.ReadAllText(Find("library.md")).Split("```csharp\n").Skip(1).Select(text => text[..text.IndexOf("```", StringComparison.Ordinal)]).ToList();
        Assert.NotEmpty(examples);
        Assert.All(examples, example => Assert.Contains(Lines(example), source, StringComparison.Ordinal));

        static string Find(string file) => Directory.EnumerateFiles(AppContext.BaseDirectory, file, SearchOption.AllDirectories).First();

        static string Lines(string code) => string.Concat(code.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0 && !line.StartsWith("using Mallku", StringComparison.Ordinal)).Select(line => line + "\n"));
    }

    /// <summary>Compiled, and not run: which vault it finds is the machine's.</summary>
    internal static async Task BeginAsync(HttpRequestMessage request)
    {
        var secrets = SecretsManager.Open();                       // environment, then the nearest .secrets/ folder
        SecretValue key = await secrets.GetRequiredAsync("openai_api_key");
        request.Headers.Authorization = new("Bearer", key.RevealString());
    }

    [Fact]
    public async Task The_ledger_answers_as_the_guide_says()
    {
        using var temporary = await TemporaryFolder.WithVaultAsync();
        await temporary.SetAsync("openai_api_key", "sk");
        var secrets = temporary.Open();
        await secrets.GetRequiredAsync("openai_api_key", Cancel);

        await secrets.FlushAsync();
        await foreach (LedgerEntry entry in secrets.Ledger.ReadEntriesAsync(since: DateTimeOffset.UtcNow.AddDays(-7)))
        {
            Console.WriteLine($"{entry.Time:u} {entry.Kind} {entry.Secret} by {entry.Actor.User}");
        }

        foreach (SecretUse use in await secrets.Ledger.GetReportAsync())
        {
            Console.WriteLine($"{use.Name}, version {use.Version}: {use.Count} uses, the last {use.Last:u}");
        }

        foreach (UnusualUse unusual in await secrets.Ledger.FindUnusualUsesAsync())
        {
            Console.WriteLine($"{unusual.Entry.Secret}: {unusual.Reason}");
        }

        string kept = await secrets.Ledger.GetCheckpointAsync();      // keep it elsewhere

        LedgerVerification found = await secrets.Ledger.VerifyAsync(kept);
        if (found.Fault is { } fault)
        {
            Console.Error.WriteLine($"from entry {fault.Entry}: {fault.Problem}. {fault.Remedy}.");
        }

        var folder = Path.Combine(temporary.Vault, "ledger");

        string key = await secrets.Ledger.GetPublicKeyAsync();
        string proof = await secrets.Ledger.ProveAsync(index: 0);

        ProvenEntry? proven = SecretsLedger.CheckProof(proof, key);   // null: nothing is proven
        LedgerVerification copy = await SecretsLedger.VerifyCopyAsync(folder, key, kept);

        Assert.Null(found.Fault);
        Assert.Equal(LedgerKind.Opened, proven?.Entry.Kind);
        Assert.Equal((found.Size, null), (copy.Size, copy.Fault));
    }

    [Fact]
    public void Fernet_tokens_are_made_and_opened_as_the_guide_says()
    {
        using SecretValue key = Fernet.GenerateKey();
        using var fernet = new Fernet(key);
        byte[] token = fernet.Encrypt("hello"u8);
        byte[] text = fernet.Decrypt(token, timeToLive: TimeSpan.FromHours(1));
        Assert.Equal("hello"u8, text);
    }
}

using System.Diagnostics;
using System.Text;
using Mallku.Secrets.Crypto;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Crypto;

/// <summary>Whether Python's <c>cryptography</c> takes and refuses the same; one process for each batch of questions.</summary>
public sealed class FernetPythonVerdictTests
{
    // answers a line for every line of standard input
    private const string Peer =
        """
        import sys
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet
        fernet = MultiFernet([Fernet(key) for key in sys.argv[1:]])
        for line in sys.stdin:
            verb, *words = line.rstrip("\n").split(" ")
            try:
                if verb == "encrypt":
                    print(fernet.encrypt(bytes.fromhex(words[0])).decode())
                elif verb == "decrypt":
                    print(fernet.decrypt(words[0].encode()).hex())
                elif verb == "judge":
                    fernet._fernets[0].decrypt_at_time(words[0].encode(), int(words[1]), int(words[2]))
                    print("good")
            except InvalidToken:
                print("refused")
        """;

    private static readonly byte[][] Plaintexts =
        [.. ((int[])[.. Enumerable.Range(0, 40), 447, 448, 1000, 65519, 65520, 65535, 65536, 65537, 65552, 70_000])
            .Select(length => FernetSamples.Bytes(length, length))];

    [Fact]
    public async Task Python_decrypts_the_lengths_around_every_threshold()
    {
        using var fernet = FernetSamples.Open(FernetSamples.Key);
        var answers = await AskAsync(
            Plaintexts.Select(plaintext => $"decrypt {Encoding.ASCII.GetString(fernet.Encrypt(plaintext))}"), FernetSamples.Key);
        Assert.Equal([.. Plaintexts.Select(Convert.ToHexStringLower)], answers);
    }

    [Fact]
    public async Task The_lengths_around_every_threshold_are_decrypted_from_Python()
    {
        var tokens = await AskAsync(Plaintexts.Select(plaintext => $"encrypt {Convert.ToHexStringLower(plaintext)}"), FernetSamples.Key);
        using var fernet = FernetSamples.Open(FernetSamples.Key);
        Assert.Equal(Plaintexts, tokens.Select(token => fernet.Decrypt(Encoding.ASCII.GetBytes(token), TimeSpan.FromHours(1))));
    }

    [Fact]
    public async Task Several_keys_and_a_generated_one_mean_the_same_to_both()
    {
        using var fresh = Fernet.GenerateKey();
        string[] keys = [fresh.RevealString(), FernetSamples.Key];
        using var fernet = FernetSamples.Open(keys);
        using var old = FernetSamples.Open(FernetSamples.Key);
        var answers = await AskAsync(
            [
                $"decrypt {Encoding.ASCII.GetString(fernet.Encrypt("new"u8))}",
                $"decrypt {Encoding.ASCII.GetString(old.Encrypt("old"u8))}",
                $"encrypt {Convert.ToHexStringLower("theirs"u8)}",
            ],
            keys);
        Assert.Equal((Convert.ToHexStringLower("new"u8), Convert.ToHexStringLower("old"u8)), (answers[0], answers[1]));
        Assert.Equal("theirs"u8, fernet.Decrypt(Encoding.ASCII.GetBytes(answers[2])));
        Assert.False(old.TryDecrypt(Encoding.ASCII.GetBytes(answers[2]), new byte[16], out _));
    }

    [Fact]
    public async Task Both_refuse_what_is_damaged()
    {
        using var fernet = FernetSamples.Open(FernetSamples.Key);
        var tokens = Plaintexts.Select((plaintext, i) => Damage(FernetSamples.Payload(fernet.Encrypt(plaintext)), i)).ToList();
        var answers = await AskAsync(tokens.Select(token => $"decrypt {Encoding.ASCII.GetString(token)}"), FernetSamples.Key);
        Assert.All(answers, answer => Assert.Equal("refused", answer));
        Assert.Equal(tokens.Count, answers.Length);
        Assert.All(tokens, token => Assert.False(fernet.TryDecrypt(token, new byte[70_016], out _)));

        static byte[] Damage(byte[] payload, int i)
        {
            payload[FernetSamples.Bytes(1, i)[0] % payload.Length] ^= 1;
            return FernetSamples.Token(payload);
        }
    }

    [Fact]
    public async Task Both_judge_alike_how_old_a_token_may_be_in_whole_seconds()
    {
        const long Now = 1_700_000_000;
        var cases = (
            from age in (int[])[-3600, -62, -61, -60, -59, -1, 0, 1, 59, 60, 61, 3600]
            from timeToLive in (int[])[0, 1, 60, 3600]
            select (age, timeToLive)).ToList();
        using var fernet = FernetSamples.Open(new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(Now)), FernetSamples.Key);
        var tokens = cases.Select(one => fernet.EncryptAt("x"u8, Now - one.age)).ToList();
        var answers = await AskAsync(
            cases.Zip(tokens, (one, token) => $"judge {Encoding.ASCII.GetString(token)} {one.timeToLive} {Now}"), FernetSamples.Key);
        Assert.Contains("good", answers, StringComparer.Ordinal);
        Assert.Contains("refused", answers, StringComparer.Ordinal);
        Assert.Equal(cases.Count, answers.Length);
        Assert.All(cases.Index(), one =>
        {
            var isGood = fernet.TryDecrypt(tokens[one.Index], new byte[16], out _, TimeSpan.FromSeconds(one.Item.timeToLive));
            Assert.Equal((one.Item, answers[one.Index]), (one.Item, isGood ? "good" : "refused"));
        });
    }

    private static async Task<string[]> AskAsync(IEnumerable<string> questions, params string[] keys)
    {
        Requires.PythonCryptography();
        var cancel = TestContext.Current.CancellationToken;
        using var python = Process.Start(new ProcessStartInfo(Requires.Python, ["-I", "-c", Peer, .. keys])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = python.StandardOutput.ReadToEndAsync(cancel);
        var error = python.StandardError.ReadToEndAsync(cancel);
        foreach (var question in questions)
        {
            await python.StandardInput.WriteLineAsync(question.AsMemory(), cancel);
        }

        python.StandardInput.Close();
        await python.WaitForExitAsync(cancel);
        Assert.Equal((0, ""), (python.ExitCode, await error));
        return (await output).Split('\n')[..^1];
    }
}

using CsCheck;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>What other programs and other versions of this one wrote comes back byte for byte.</summary>
public sealed class VaultRoundTripTests
{
    private const string NoText = "\"\\ud800\"";
    private static readonly Gen<string> Spaces = Gen.OneOf("", " ", "\r\n\t");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public Task Flat_values_of_any_form_are_handed_out_and_come_back_byte_for_byte() =>
        Gen.Select(VaultSamples.Values.Array[1, 8], Spaces).SampleAsync(
            async (values, space) =>
            {
                using var folder = await TemporaryFolder.WithVaultAsync();
                var members = values.Select((value, i) => $"\"n{i}\"{space}:{space}{value}").Append($"\"\\udc00 no text\"{space}:{space}{values[0]}");
                Plaintext.Write(folder, $"{space}{{{space}{string.Join($"{space},{space}", members)}{space}}}{space}");
                var manager = folder.Open();
                await manager.ListAsync(Cancel);

                // what reading has let go of must not take along what it holds
                GC.Collect();
                GC.WaitForPendingFinalizers();
                for (var i = 0; i < values.Length; i++)
                {
                    Assert.Equal(values[i] == NoText ? null : VaultModel.Text(values[i]), await ReadAsync(manager, $"n{i}"));
                }

                await folder.SetAsync("another", "value");
                await folder.SetAsync("another", "again");
                var written = Plaintext.Read(folder);
                Assert.All(values.Select((value, i) => $"\"n{i}\":{value},"), member => Assert.Contains(member, written, StringComparison.Ordinal));
                Assert.Contains($"\"\\udc00 no text\":{values[0]},", written, StringComparison.Ordinal);
            },
            iter: 100,
            threads: 2);

    [Fact]
    public Task Members_that_this_version_does_not_know_come_back_wherever_they_are() =>
        Gen.Select(VaultSamples.Values.Array[5], Spaces).SampleAsync(
            async (values, space) =>
            {
                string[] names = ["labels", "policies", "x \\u00fc", "\\ud800", "🦙"];
                string[] unknown = [.. names.Select((name, i) => $"\"{name}\"{space}:{space}{values[i]}")];
                using var folder = await TemporaryFolder.WithVaultAsync();
                Plaintext.Write(
                    folder,
                    $$"""
                    {"a":"v","$mallku":{"format":1,{{unknown[3]}},"generation":3,"secrets":{"a":{ {{unknown[0]}},"next":2,"versions":[
                    {"number":1,{{unknown[2]}},"id":"0123456789abcdef0123456789abcdef","state":"current","created":"2026-11-24T10:00:00.000Z","source":"set","value":"v"}
                    ],{{unknown[1]}} } },{{unknown[4]}} } }
                    """);
                await folder.SetAsync("b", "value");
                await folder.SetAsync("a", "next");
                await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

                var written = Plaintext.Read(folder);
                Assert.All(names.Select((name, i) => $"\"{name}\":{values[i]}"), member => Assert.Contains(member, written, StringComparison.Ordinal));
                Assert.Equal("next", await folder.GetAsync("a"));
            },
            iter: 60,
            threads: 2);

    [Theory]
    [InlineData("\"ü/\"", "\"\\u00FC\\/\"")]
    [InlineData("1.50", "15e-1")]
    [InlineData("""{"a":1,"b":"ü"}""", """{ "b" : "\u00fc", "a" : 1 }""")]
    public async Task The_same_value_in_another_spelling_is_no_new_version_and_keeps_the_new_spelling(string recorded, string respelled)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, $$"""{"n":{{recorded}}}""");
        await folder.SetAsync("another", "value");
        var former = Plaintext.Read(folder);
        Plaintext.Write(folder, former.Replace($"{{\"another\":\"value\",\"n\":{recorded}", $"{{\"another\":\"value\",\"n\":{respelled}", StringComparison.Ordinal));
        Assert.NotEqual(former, Plaintext.Read(folder), StringComparer.Ordinal);
        await folder.SetAsync("another", "again");

        Assert.Equal(VaultModel.Text(respelled), await folder.GetAsync("n"));
        Assert.Equal(respelled, Plaintext.Members(Plaintext.Read(folder))["n"]);
        Assert.Single((await folder.Open().Vault.GetHistoryAsync(SecretName.Parse("n"), Cancel))!.Versions);
    }

    [Theory]
    [InlineData("1e99999999999", "2e99999999999")]
    [InlineData("NaN", "Infinity")]
    [InlineData("1", "\"1\"")]
    [InlineData("12345678901234567890123456789", "12345678901234567890123456788")]
    [InlineData("[1,2]", "[2,1]")]
    [InlineData("null", "false")]
    public async Task Another_value_is_a_new_version_however_like_it_is(string recorded, string changed)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, $$"""{"n":{{recorded}}}""");
        await folder.SetAsync("z", "value");
        Plaintext.Write(folder, Plaintext.Read(folder).Replace($"{{\"n\":{recorded}", $"{{\"n\":{changed}", StringComparison.Ordinal));

        Assert.Equal(VaultModel.Text(changed), await folder.GetAsync("n"));
        Assert.Equal([2, 1], (await folder.Open().Vault.GetHistoryAsync(SecretName.Parse("n"), Cancel))!.Versions.Select(version => version.Number));
    }

    [Theory]
    [InlineData("{\"bad\":\"\xff\xfe\",\"good\":\"g\"}", "\"bad\":\"\xff\xfe\"")]
    [InlineData("{\"bad\":[\"\xc3\"],\"good\":\"g\"}", "\"bad\":[\"\xc3\"]")]
    [InlineData("{\"b\x80\":\"v\",\"good\":\"g\"}", "\"b\x80\":\"v\"")]
    public async Task Bytes_that_are_no_utf8_are_an_error_for_their_own_name_only_and_are_kept(string latin1, string member)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, System.Text.Encoding.Latin1.GetBytes(latin1));

        Assert.Equal("g", await folder.GetAsync("good"));
        if (latin1.Contains("bad", StringComparison.Ordinal))
        {
            var error = await Assert.ThrowsAsync<SecretsException>(() => folder.GetAsync("bad"));
            Assert.Contains("'bad'", error.Problem, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal("good", Assert.Single(await folder.Open().ListAsync(Cancel)).Name);
        }

        await folder.SetAsync("good", "changed");
        Assert.Contains(member, System.Text.Encoding.Latin1.GetString(Plaintext.ReadBytes(folder)), StringComparison.Ordinal);
    }

    private static async Task<string?> ReadAsync(SecretsManager manager, string name)
    {
        try
        {
            return (await manager.GetRequiredAsync(name, Cancel)).RevealString();
        }
        catch (SecretsException e) when (e is not VaultOpenException and not SecretNotFoundException)
        {
            return null;
        }
    }
}

using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Tests.Crypto;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>One vault, byte by byte: the plaintext after the format's page, the token made by Python's cryptography.</summary>
public sealed class VaultKnownAnswerTests
{
    private const string Key = FernetSamples.OtherKey;

    private const string Json =
        """
        {"openai_api_key":"sk-second","$mallku":{"format":1,"generation":7,"secrets":{
        "old_key":{"next":2,"removed":"2026-11-23T09:00:00.000Z","versions":[
        {"number":1,"id":"19f00000000000000000000000000001","state":"retired","created":"2026-11-01T08:00:00.000Z","source":"import"}]},
        "openai_api_key":{"next":3,"versions":[
        {"number":1,"id":"b6c90000000000000000000000000001","state":"previous","created":"2026-11-24T10:00:00.000Z","source":"set","value":"sk-first"},
        {"number":2,"id":"07aa0000000000000000000000000002","state":"current","created":"2026-11-24T11:00:00.250Z","source":"set","value":"sk-second"}]}}}}
        """;

    private const string Token =
        "gAAAAABrBW4wAAECAwQFBgcICQoLDA0ODzhgQZzaTew0R2MhOXmdX3qhdEcmajc6QaxNFdfawtWCzHiE-UepOA7SX6PIH6oqJpKzreaQ1p9yckyFbfefMQc4" +
        "wRSkw535fiTdNMJdDqxl3ADlxoyeMYHidU7bcNH2V4Yd-zExg-eZmkdQa3-6BY6xm1N5RIKER0XylN4x14wTNGEbjcATm6jvEQ9P8lcFLhTcoW30slOoecMx" +
        "fNhAkJjvbqO2Pu0s9c2ZRjHfmmxoy_CdJ0kVLXAQ5H-WY2ls4ZLAoHwTL9jBIvmxdmgnSUBtj3cd8ZHI0ptRQBJNTIhoEXXfcUXy3mCTlFrb_Zo_DSA_mo2H" +
        "2zcmpmyjJSVzvTbI47pBYo9y-3GJ6qYaH-iIKBfFNCHUsrdIPjhEBd35zmosOhkC7PagclQ3PjxIL-0Rt-IO5ZQpfRVTQZJKqzBkBkN306QIYn_VdWxpQIId" +
        "zgCjppfC3OjiDX-xOyD4Jy1OznseP_g0V6yQzNRqNTSjIRZAtqOhq3FakVUPCJVowBrNg3QL-I9z1z2VEg7FPLeZpOFByGBXbY2hpBHyyz3Zr-9q_OMxjWDM" +
        "IM_6AcFtFh0lCfaHraovCsYdPonky2qpuBhXACgLOQwWUE3mPmzzwQVtgcrggFDepaRCEMCjOQLg1NETnANrzaBzXEbBQD220aXtRq-GpV5Yh0IjN4oxV9JT" +
        "1QILqjlvatN2TcjKKcxbCSiQkPrJ3Losca0O6w1NIfdueeZnjym4kDMuh-V_7aUGe6F1U_NWMNQValhHRbAo4LTG6tlGm8QIuW7bCFrKjeCfdj4i8p31E3gP" +
        "MY78dt4cJM-s4MIlF7ZuiAeAlEXp1v8nFKgyUzpBkOPw0OA=";

    private static readonly DateTimeOffset Written = new(2026, 11, 24, 11, 0, 0, TimeSpan.Zero);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void A_document_is_written_as_these_bytes()
    {
        using var document = new VaultDocument(default) { Generation = 7 };
        var secret = document.GetOrAdd("openai_api_key");
        secret.Add("\"sk-first\""u8.ToArray(), "b6c90000000000000000000000000001", Written.AddHours(-1), "set");
        secret.Add("\"sk-second\""u8.ToArray(), "07aa0000000000000000000000000002", Written.AddMilliseconds(250), "set");
        var removed = document.GetOrAdd("old_key");
        removed.Add("\"gone\""u8.ToArray(), "19f00000000000000000000000000001", new DateTimeOffset(2026, 11, 1, 9, 0, 0, TimeSpan.FromHours(1)), "import");
        document.Remove(removed, new DateTimeOffset(2026, 11, 23, 9, 0, 0, TimeSpan.Zero));

        using var plaintext = VaultFormat.Write(document, capacity: 0);
        Assert.Equal(Json.Replace("\n", "", StringComparison.Ordinal), Encoding.UTF8.GetString(plaintext.Written));

        using var fernet = FernetSamples.Open(Key);
        var token = new byte[Fernet.GetTokenLength(plaintext.Written.Length)];
        fernet.Encrypt(plaintext.Written, token, Written.ToUnixTimeSeconds(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        Assert.Equal(Token, Encoding.ASCII.GetString(token));
    }

    [Fact]
    public async Task These_bytes_open_as_that_document()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await File.WriteAllTextAsync(folder.KeyFile, Key + "\n", Cancel);
        await File.WriteAllTextAsync(folder.VaultFile, "\n" + Token + " \r\n", Cancel);
        var manager = folder.Open();

        var found = await manager.FindAsync("openai_api_key", Cancel);
        Assert.Equal(("sk-second", 2, Written.AddMilliseconds(250)), (found!.Value.RevealString(), found.Version, found.Created));
        Assert.Equal(
            [
                new(2, "07aa0000000000000000000000000002", SecretVersionState.Current, Written.AddMilliseconds(250), "set"),
                new(1, "b6c90000000000000000000000000001", SecretVersionState.Previous, Written.AddHours(-1), "set"),
            ],
            (await manager.Vault.GetHistoryAsync(SecretName.Parse("openai_api_key"), Cancel))!.Versions);
        Assert.Null(await manager.GetAsync("old_key", Cancel));
        Assert.Equal(
            new DateTimeOffset(2026, 11, 23, 9, 0, 0, TimeSpan.Zero),
            (await manager.Vault.GetHistoryAsync(SecretName.Parse("old_key"), Cancel))!.Removed);
    }

    [Fact]
    public async Task An_outside_version_has_the_id_that_the_format_s_page_derives()
    {
        const string name = "Gr\u00fc\u00dfe", value = "{\"a\" : 1.50}";
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, $$"""{"{{name}}":{{value}}}""");
        var dataKey = Base64Url.DecodeFromChars(await File.ReadAllTextAsync(folder.KeyFile, Cancel));
        var idKey = HKDF.DeriveKey(HashAlgorithmName.SHA256, dataKey, 32, salt: [], info: "mallku/v1/external-version-id"u8.ToArray());
        var number = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, 1);
        var expected = HMACSHA256.HashData(idKey, (byte[])[.. Encoding.UTF8.GetBytes(name), 0, .. number, .. Encoding.UTF8.GetBytes(value)])[..16];

        var history = await folder.Open().Vault.GetHistoryAsync(SecretName.Existing(name), Cancel);
        Assert.Equal(Convert.ToHexStringLower(expected), Assert.Single(history!.Versions).Id);
    }
}

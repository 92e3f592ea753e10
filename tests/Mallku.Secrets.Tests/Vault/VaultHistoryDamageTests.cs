namespace Mallku.Secrets.Tests.Vault;

/// <summary>A reserved member that no program following the format wrote is an error: it is neither guessed at nor dropped.</summary>
public sealed class VaultHistoryDamageTests
{
    private const string Id = "0123456789abcdef0123456789abcdef";

    private const string First = $$"""{"number":1,"id":"{{Id}}","state":"previous","created":"2026-11-24T10:00:00.000Z","source":"set","value":"u"}""";
    private const string Second = $$"""{"number":2,"id":"{{Id}}","state":"current","created":"2026-11-24T11:00:00.000Z","source":"set","value":"{{Refusal.Canary}}"}""";

    private const string Sound =
        $$"""{"$mallku":{"format":1,"generation":7,"secrets":{"a":{"next":3,"versions":[{{First}},{{Second}}]} } },"a":"{{Refusal.Canary}}","after":"w"}""";

    [Fact]
    public async Task The_sound_document_opens()
    {
        using var folder = await WriteAsync(Sound);
        Assert.Equal(Refusal.Canary, await folder.GetAsync("a"));
        Assert.Equal("w", await folder.GetAsync("after"));
        Assert.Equal(3, (await folder.SetAsync("a", "next")).Version);
    }

    [Theory]
    [InlineData("\"format\":1,", "")]
    [InlineData("\"format\":1", "\"format\":0")]
    [InlineData("\"format\":1", "\"format\":\"1\"")]
    [InlineData("\"format\":1", "\"format\":1.0")]
    [InlineData("\"format\":1", "\"format\":null")]
    [InlineData("\"format\":1", "\"format\":NaN")]
    [InlineData("\"generation\":7,", "")]
    [InlineData("\"generation\":7", "\"generation\":-1")]
    [InlineData("\"generation\":7", "\"generation\":\"7\"")]
    [InlineData("\"generation\":7", "\"generation\":7.5")]
    [InlineData("\"generation\":7", "\"generation\":7e0")]
    [InlineData("\"generation\":7", "\"generation\":99999999999999999999")]
    [InlineData("\"generation\":7", "\"generation\":[]")]
    [InlineData("\"generation\":7", "\"generation\":Infinity")]
    [InlineData("\"secrets\":", "\"others\":")]
    [InlineData("\"secrets\":{", "\"secrets\":[],\"x\":{")]
    [InlineData("\"secrets\":{", "\"secrets\":null,\"x\":{")]
    [InlineData("\"secrets\":{", "\"secrets\":NaN,\"x\":{")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":[],")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":null,")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"a\":{\"next\":1,\"versions\":[]},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"\\ud800\":{\"next\":1,\"versions\":[]},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":1},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"versions\":[]},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":0,\"versions\":[]},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":1,\"versions\":{}},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":1,\"versions\":null},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":1,\"versions\":[5]},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":1,\"versions\":[[]]},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":1,\"versions\":[null]},")]
    [InlineData("\"secrets\":{", "\"secrets\":{\"x\":{\"next\":1,\"versions\":[{}]},")]
    [InlineData("\"next\":3,", "")]
    [InlineData("\"next\":3", "\"next\":2")]
    [InlineData("\"next\":3", "\"next\":0")]
    [InlineData("\"next\":3", "\"next\":-3")]
    [InlineData("\"next\":3", "\"next\":\"3\"")]
    [InlineData("\"next\":3", "\"next\":2147483648")]
    [InlineData("\"next\":3", "\"next\":3,\"removed\":\"2026-11-24T11:00:00.000Z\"")]
    [InlineData("\"next\":3", "\"next\":3,\"removed\":\"once\"")]
    [InlineData("\"next\":3", "\"next\":3,\"removed\":5")]
    [InlineData("\"next\":3", "\"next\":3,\"removed\":null")]
    [InlineData("\"number\":1,", "")]
    [InlineData("\"number\":1", "\"number\":0")]
    [InlineData("\"number\":1", "\"number\":-1")]
    [InlineData("\"number\":1", "\"number\":2")]
    [InlineData("\"number\":1", "\"number\":\"1\"")]
    [InlineData("\"number\":2", "\"number\":1")]
    [InlineData("\"number\":2", "\"number\":3")]
    [InlineData($"{First},{Second}", $"{Second},{First}")]
    [InlineData($"\"id\":\"{Id}\",", "")]
    [InlineData($"\"id\":\"{Id}\"", "\"id\":5")]
    [InlineData($"\"id\":\"{Id}\"", "\"id\":\"\\ud800\"")]
    [InlineData("\"state\":\"previous\",", "")]
    [InlineData("\"state\":\"previous\"", "\"state\":\"gone\"")]
    [InlineData("\"state\":\"previous\"", "\"state\":\"current\"")]
    [InlineData("\"state\":\"previous\"", "\"state\":1")]
    [InlineData("\"created\":\"2026-11-24T10:00:00.000Z\",", "")]
    [InlineData("\"created\":\"2026-11-24T10:00:00.000Z\"", "\"created\":\"2026-11-31T10:00:00.000Z\"")]
    [InlineData("\"created\":\"2026-11-24T10:00:00.000Z\"", "\"created\":1795518000")]
    [InlineData("\"source\":\"set\",", "")]
    [InlineData("\"source\":\"set\"", "\"source\":{}")]
    [InlineData("\"source\":\"set\"", "\"source\":NaN")]
    [InlineData(",\"value\":\"u\"", "")]
    [InlineData(",\"value\":\"sk-canary\"", "")]
    [InlineData("},\"a\":", "},\"$mallku\":{\"format\":1,\"generation\":7,\"secrets\":{}},\"a\":")]
    public async Task A_member_that_is_not_as_the_format_says_is_an_error(string part, string replacement)
    {
        var at = Sound.IndexOf(part, StringComparison.Ordinal);
        using var folder = await WriteAsync(Sound[..at] + replacement + Sound[(at + part.Length)..]);
        var error = await Refusal.RequireAsync(folder);
        Assert.Contains("put a backup in its place", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("null")]
    [InlineData("1")]
    [InlineData("{}")]
    public async Task A_reserved_member_that_is_no_history_is_an_error(string reserved)
    {
        using var folder = await WriteAsync($$"""{"a":"{{Refusal.Canary}}","$mallku":{{reserved}}}""");
        await Refusal.RequireAsync(folder);
    }

    [Theory]
    [InlineData("""{"format":2,"generation":7,"secrets":{}}""")]
    [InlineData("""{"format":2,"generation":"seven","secrets":[]}""")]
    [InlineData("""{"format":4294967297,"log":[]}""")]
    public async Task A_newer_format_is_an_error_that_asks_for_a_newer_program_and_not_for_an_older_file(string reserved)
    {
        using var folder = await WriteAsync($$"""{"a":"{{Refusal.Canary}}","$mallku":{{reserved}}}""");
        var error = await Refusal.RequireAsync(folder);
        Assert.EndsWith("| use a newer mallku", error, StringComparison.Ordinal);
    }

    private static async Task<TemporaryFolder> WriteAsync(string plaintext)
    {
        var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, plaintext);
        return folder;
    }
}

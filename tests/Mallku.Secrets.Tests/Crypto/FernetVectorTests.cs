using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Mallku.Secrets.Crypto;
using Microsoft.Extensions.Time.Testing;

namespace Mallku.Secrets.Tests.Crypto;

/// <summary>The vectors of the specification, <c>github.com/fernet/spec</c>, where they lie beside the repository.</summary>
public sealed class FernetVectorTests
{
    [Fact]
    public void Generates_the_tokens_of_the_specification()
    {
        Assert.All(Read("generate.json"), vector =>
        {
            using var fernet = FernetSamples.Open(vector.Secret);
            var plaintext = Encoding.UTF8.GetBytes(vector.Source!);
            var token = new byte[Fernet.GetTokenLength(plaintext.Length)];
            var iv = vector.Iv!.Select(number => (byte)number).ToArray();
            Assert.Equal(token.Length, fernet.Encrypt(plaintext, token, vector.Now.ToUnixTimeSeconds(), iv));
            Assert.Equal(vector.Token, Encoding.ASCII.GetString(token));
        });
    }

    [Fact]
    public void Takes_the_tokens_that_the_specification_calls_valid()
    {
        Assert.All(Read("verify.json"), vector =>
        {
            using var fernet = FernetSamples.Open(new FakeTimeProvider(vector.Now), vector.Secret);
            var plaintext = fernet.Decrypt(Encoding.ASCII.GetBytes(vector.Token), vector.TimeToLive);
            Assert.Equal(vector.Source, Encoding.UTF8.GetString(plaintext));
        });
    }

    [Fact]
    public void Refuses_the_tokens_that_the_specification_calls_invalid()
    {
        Assert.All(Read("invalid.json"), vector =>
        {
            using var fernet = FernetSamples.Open(new FakeTimeProvider(vector.Now), vector.Secret);
            Assert.False(
                fernet.TryDecrypt(Encoding.ASCII.GetBytes(vector.Token), new byte[256], out _, vector.TimeToLive), vector.Description);
        });
    }

    private static Vector[] Read(string file)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Mallku.slnx")))
        {
            folder = folder.Parent;
        }

        var path = Path.Combine(folder?.Parent?.FullName ?? "/", "shared", "vectors", "fernet", file);
        Assert.SkipUnless(File.Exists(path), $"the specification's {file} is not beside the repository");
        var vectors = JsonSerializer.Deserialize<Vector[]>(File.ReadAllBytes(path))!;
        Assert.NotEmpty(vectors);
        return vectors;
    }

    private sealed record Vector(
        [property: JsonPropertyName("desc")] string? Description,
        [property: JsonPropertyName("token")] string Token,
        [property: JsonPropertyName("now")] DateTimeOffset Now,
        [property: JsonPropertyName("ttl_sec")] int? Seconds,
        [property: JsonPropertyName("iv")] int[]? Iv,
        [property: JsonPropertyName("src")] string? Source,
        [property: JsonPropertyName("secret")] string Secret)
    {
        public TimeSpan? TimeToLive => Seconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
    }
}

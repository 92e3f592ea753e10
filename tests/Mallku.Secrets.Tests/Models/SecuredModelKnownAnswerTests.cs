using System.Diagnostics;
using System.Text;
using Mallku.Secrets.Models;

namespace Mallku.Secrets.Tests.Models;

/// <summary>One record under known keys and nonces: what secured_model.py, which was written from the format's page alone, prints.</summary>
public sealed class SecuredModelKnownAnswerTests
{
    private const string Document = """
        {"$format":1,"$key":"k1","7fdc1daa-a304-8c58-ade6-b2bd860bb696":"AAAAAAAAAAAAAAABKYQY2he7Jvkhtvx+ui89AbLi6P8+5Pzw1VoNIJovvyM=",
        "cf2171fb-360e-83ff-a15f-f065d6251759":"AAAAAAAAAAAAAAACGjEokMWfcYRtGabITR5M5qkOPpXWcVQ+pgBSuQ==",
        "e5029798-ea04-81af-b723-0d4c7a88f2ce":"AAAAAAAAAAAAAAAD5CWZqTdtuWQIRdM/Q/UsPaVgXMu+rBaqiamGKQ==",
        "9d938e1c-62e6-8117-a0be-9dfe3ba5f465":7,"beffd23f-7fa2-86cc-8d03-0e631244bbea":"88e15c319b243379",
        "1e1b6a36-bca2-8e98-a71e-a4d1a4612801":"AAAAAAAAAAAAAAAEtoMwnW/U2mlgzgb8kubPWB6O3nWizTJi2UdYFNuVTP3vnJvkOvwPvQ5q/A==",
        "c5ea5ae6-1106-86c3-b609-16a946318e08":"AAAAAAAAAAAAAAAFo81/PGn5No9yOoc4WbUDEsgp","engine":"postgres ü","share":1500,
        "7372f6da-719b-81b7-9b76-63712224039d":"AAAAAAAAAAAAAAAGxEJo30qKfIIEKOapLgUwtsQ3AAzgvBsj3KT7XuugLKv9Er9rMiVK+a8CkqjMtDE9QM28HQ==",
        "$seal":"AAAAAAAAAAAAAAAHMRW4ArXMzDQN8nBXmS/xaA=="}
        """;

    private static readonly string[] Terms =
    [
        "7fdc1daaa3048c58ade6b2bd860bb696.8f85f04eb7b48ea61bc3fc2fd24bec66",
        "cf2171fb360e83ffa15ff065d6251759.e825651909cf1201f1c52063684eaafc",
        "e5029798ea0481afb7230d4c7a88f2ce.e825651909cf1201f1c52063684eaafc",
        "9d938e1c62e68117a0be9dfe3ba5f465.8000000000000007",
        "beffd23f7fa286cc8d030e631244bbea.88e15c319b243379",
        "1e1b6a36bca28e98a71ea4d1a4612801.7884ef1bb26ee46260631bcf69958814",
        "c5ea5ae6110686c3b60916a946318e08.d08dd4a197289a5bd243d3eb44c7d562",
    ];

    private static string Line => Document.ReplaceLineEndings("");

    [Fact]
    public void A_record_is_sealed_to_exactly_this()
    {
        var sealedHead = SampleModels.Open(SampleModels.Known()).Seal(SampleModels.Ana, SampleModels.Place);
        Assert.Equal(Line, Encoding.UTF8.GetString(sealedHead.Json.Span).Replace("\\u00FC", "ü", StringComparison.Ordinal));
        Assert.Equal(Terms, sealedHead.Terms);
    }

    [Fact]
    public void What_another_program_sealed_opens() =>
        Assert.Equal(SampleModels.Ana, SampleModels.Open(SampleModels.Fresh()).Open(Encoding.UTF8.GetBytes(Document), SampleModels.Place));

    [Fact]
    public async Task Another_program_makes_the_same()
    {
        Requires.PythonCryptography();
        using var python = Process.Start(new ProcessStartInfo(Requires.Python, [Path.Combine(AppContext.BaseDirectory, "Models", "secured_model.py")])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            StandardOutputEncoding = Encoding.UTF8,
            Environment = { ["PYTHONIOENCODING"] = "utf-8" },
        })!;
        var output = await python.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.Equal([Line, .. Terms], output.TrimEnd().Split('\n'));
    }

    [Fact]
    public void A_field_has_a_UUID_of_version_8_that_depends_on_the_key_the_model_and_its_name()
    {
        var key = new IndexKey(new byte[32]);
        var id = key.FieldId("head", "name");
        Assert.Equal((8, 2), (id.Version, id.Variant >> 2));
        Assert.Equal(id, new IndexKey(new byte[32]).FieldId("head", "name"));
        Assert.Distinct([id, key.FieldId("hea", "dname"), key.FieldId("head", "names"), key.FieldId("version", "name"), new IndexKey([1, .. new byte[31]]).FieldId("head", "name")]);
    }
}

namespace Mallku.Cli.Tests;

/// <summary>
/// Every verb and every exit code of the published binary, as a person would see them. After a change that is meant,
/// MALLKU_UPDATE_TRANSCRIPTS=1 writes the files anew, to be read before they are committed.
/// </summary>
public sealed class TranscriptTests
{
    private static readonly string Files = Path.Combine(NativeBinary.Root, "tests", "Mallku.Cli.Tests", "transcripts");

    public static TheoryData<string> Names => [.. Directory.GetFiles(Files, "*.txt").Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Prints_what_the_transcript_says(string name)
    {
        var path = Path.Combine(Files, name + ".txt");
        var replayed = await Transcript.Read(path).ReplayAsync(TestContext.Current.CancellationToken);
        if (Environment.GetEnvironmentVariable("MALLKU_UPDATE_TRANSCRIPTS") is "1")
        {
            File.WriteAllText(path, replayed);
        }

        Assert.Equal(File.ReadAllText(path), replayed);
    }
}

using System.Text;
using CsCheck;

namespace Mallku.Cli.Tests;

/// <summary>What is exported comes back as it was: by import, and by the shell.</summary>
public sealed class TransferTests : IDisposable
{
    private static readonly Gen<string> Values = Gen.OneOf(
        Gen.String[Gen.Char[' ', '~'], 1, 40],
        Gen.String[Gen.Char["'\"\\$`\n\r\t\f\u0085\u2028# =!aé漢"], 1, 12]);

    private readonly Scratch _scratch = new();

    public TransferTests() => _scratch.Run("mallku init");

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("env")]
    [InlineData("json")]
    public void Import_gives_back_what_export_wrote(string format) => Values.Array[1, 8].Sample(
        values =>
        {
            Store(values);
            Assert.Equal(0, _scratch.Run($"rm -rf other; mallku --dir other init && mallku export --format {format} | mallku --dir other import -").ExitCode);
            AssertStored(values, "--dir other");
        },
        iter: 40, threads: 1);

    [Fact]
    public void A_shell_evaluates_to_what_export_wrote() => Values.Sample(
        value =>
        {
            Store([value]);
            var outcome = _scratch.Run("eval \"$(mallku export --format shell)\"; printf '%s.' \"$NAME_0\"");
            Assert.Equal(value + ".", outcome.Output);
        },
        iter: 60, threads: 1);

    [Fact]
    public void A_command_gets_the_very_value() => Values.Sample(
        value =>
        {
            Store([value]);
            Assert.Equal(new Outcome(value + ".", "", 0), _scratch.Run("mallku run -- sh -c 'printf \"%s.\" \"$NAME_0\"'"));
        },
        iter: 60, threads: 1);

    private void Store(string[] values)
    {
        _scratch.Run("for name in $(mallku list | cut -f1); do mallku rm $name -y; done");
        for (var i = 0; i < values.Length; i++)
        {
            // one line's end is taken off, and no other
            Assert.Equal(0, _scratch.Run(["mallku", "set", $"name_{i}"], Encoding.UTF8.GetBytes(values[i] + "\r\n")).ExitCode);
        }
    }

    private void AssertStored(string[] values, string options)
    {
        for (var i = 0; i < values.Length; i++)
        {
            Assert.Equal(values[i], _scratch.Run($"mallku {options} get -n name_{i}").Output);
        }
    }
}

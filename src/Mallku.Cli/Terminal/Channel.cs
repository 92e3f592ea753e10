using System.Text;
using Mallku.Cli.Native;

namespace Mallku.Cli.Terminal;

/// <summary>
/// One of the two ways out. Standard output carries what was asked for and nothing else; whatever mallku has to say
/// about it goes to standard error.
/// </summary>
internal sealed class Channel
{
    private const int UsualWidth = 80;

    internal static readonly Channel Output = new(Descriptor.Output);
    internal static readonly Channel Error = new(Descriptor.Error);

    private readonly int _descriptor;

    private Channel(int descriptor) => _descriptor = descriptor;

    internal bool IsTerminal => Descriptor.IsTerminal(_descriptor);

    internal int Width => Descriptor.GetWidth(_descriptor) ?? UsualWidth;

    /// <summary>Whether colour is shown: at a terminal that has it, unless <c>NO_COLOR</c> says no.</summary>
    internal bool HasColour =>
        IsTerminal
        && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
        && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    internal void Write(ReadOnlySpan<byte> bytes) => Descriptor.Write(_descriptor, bytes);

    internal void Write(string text) => Write(Encoding.UTF8.GetBytes(text));

    /// <summary>Waits; ends with an error at once where nobody reads any more.</summary>
    internal void Wait(TimeSpan time) => Descriptor.Wait(_descriptor, (int)time.TotalMilliseconds);

    internal void WriteLine(string text) => Write(text + "\n");

    internal string Bold(string text) => Paint(text, 1);

    internal string Dim(string text) => Paint(text, 2);

    internal string Red(string text) => Paint(text, 31);

    internal string Green(string text) => Paint(text, 32);

    internal string Yellow(string text) => Paint(text, 33);

    private string Paint(string text, int code) => HasColour ? $"\e[{code}m{text}\e[0m" : text;
}

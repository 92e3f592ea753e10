namespace Mallku.Cli.Terminal;

/// <summary>How far a long work is, on standard error at a terminal; nothing where it takes less than a second.</summary>
internal sealed class Progress(string what) : IDisposable
{
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1), Between = TimeSpan.FromMilliseconds(100);
    private readonly long _start = TimeProvider.System.GetTimestamp();
    private long _shown;

    internal void Show(long done, long total)
    {
        if (TimeProvider.System.GetElapsedTime(_start) > Quiet
            && (_shown == 0 || TimeProvider.System.GetElapsedTime(_shown) > Between)
            && Channel.Error.IsTerminal)
        {
            _shown = TimeProvider.System.GetTimestamp();
            Channel.Error.Write($"\r{what}: {done} of {total}");
        }
    }

    /// <summary>Clears the line.</summary>
    public void Dispose()
    {
        if (_shown != 0)
        {
            Channel.Error.Write("\r\e[K");
        }
    }
}

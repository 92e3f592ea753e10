using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Mallku.Cli.Native;

/// <summary>
/// A terminal that shows nothing of what is typed and hands it over key by key, until disposed, or until the process
/// is killed or interrupted: whatever ends it, the terminal is as it was.
/// </summary>
[UnsupportedOSPlatform("windows")]
internal sealed unsafe class HiddenTyping : IDisposable
{
    private const int SettingsLength = 128, AfterFlush = 2;

    private readonly int _descriptor;
    private readonly byte[] _shown = new byte[SettingsLength];
    private readonly byte[] _hidden = new byte[SettingsLength];
    private readonly PosixSignalRegistration[] _registrations;

    internal HiddenTyping(int descriptor)
    {
        _descriptor = descriptor;
        fixed (byte* settings = _shown)
        {
            if (Libc.GetTerminalSettings(descriptor, settings) != 0)
            {
                throw new IOException("the terminal does not tell its settings");
            }
        }

        _shown.CopyTo(_hidden, 0);
        Hide(_hidden);
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Show),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Show),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, Show),
            PosixSignalRegistration.Create(PosixSignal.SIGQUIT, Show),
            PosixSignalRegistration.Create(PosixSignal.SIGCONT, _ => Apply(_hidden)),
        ];
        Apply(_hidden);
    }

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        Apply(_shown);
    }

    /// <summary>Whether more was typed or pasted already.</summary>
    internal bool HasMore()
    {
        const int afterPaste = 50;
        var descriptor = stackalloc int[2] { _descriptor, Libc.Readable };
        return Libc.Poll(descriptor, 1, afterPaste) > 0;
    }

    private void Show(PosixSignalContext context) => Apply(_shown);

    private void Apply(byte[] settings)
    {
        fixed (byte* bytes = settings)
        {
            // what was pasted beyond the value is dropped with it, instead of becoming the shell's next command
            _ = Libc.SetTerminalSettings(_descriptor, AfterFlush, bytes);
        }
    }

    // struct termios: four flag words, of which the fourth (c_lflag) loses ECHO and ICANON, then, on Linux after one
    // byte, the control characters, of which VSUSP is switched off: while it is stopped the echo would stay off, and VMIN
    // and VTIME wait for a key, whatever another program has left there
    private static void Hide(byte[] settings)
    {
        const int suspend = 10;
        if (OperatingSystem.IsMacOS())
        {
            var flags = MemoryMarshal.Cast<byte, ulong>(settings.AsSpan());
            flags[3] &= ~(0x8ul | 0x100ul);
            settings[32 + suspend] = 0xFF;
            settings[32 + 16] = 1;
            settings[32 + 17] = 0;
        }
        else
        {
            var flags = MemoryMarshal.Cast<byte, uint>(settings.AsSpan());
            flags[3] &= ~(0x8u | 0x2u);
            settings[17 + suspend] = 0;
            settings[17 + 6] = 1;
            settings[17 + 5] = 0;
        }
    }
}

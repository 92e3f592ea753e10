using System.Runtime.Versioning;
using System.Security.Cryptography;
using System.Text;
using Mallku.Cli.Native;

namespace Mallku.Cli.Terminal;

/// <summary>Asks the person at the terminal. Questions go to the terminal itself, wherever the output goes.</summary>
internal static class Prompt
{
    private const byte EndOfInput = 4, Backspace = 8, Tab = 9, LineFeed = 10, Return = 13, EraseLine = 21, EraseWord = 23, Suspend = 26, Escape = 27;
    private const byte Space = 32, Delete = 127;
    private const int ReadAndWrite = 2, NoControlling = 0x100, CloseOnExecute = 0x80000;

    /// <summary>Whether somebody is there to answer.</summary>
    internal static bool IsPossible => Descriptor.IsTerminal(Descriptor.Input);

    /// <summary>Asks a yes-or-no question; anything but yes is no.</summary>
    internal static bool Confirm(string question)
    {
        var terminal = Open();
        try
        {
            Descriptor.Write(Writer(terminal), Encoding.UTF8.GetBytes($"{question} [y/N] "));
            Span<byte> answer = stackalloc byte[256];
            var length = Descriptor.Read(Reader(terminal), answer);
            return Encoding.UTF8.GetString(answer[..length]).Trim().ToUpperInvariant() is "Y" or "YES";
        }
        finally
        {
            Close(terminal);
        }
    }

    /// <summary>Asks once for a value and shows nothing of it.</summary>
    /// <returns>The bytes, pinned; the caller wipes them.</returns>
    internal static byte[] AskHidden(string question, int limit)
    {
        if (OperatingSystem.IsWindows())
        {
            throw new SecretsException("there is no hidden prompt on Windows yet", "pipe the value: Get-Content FILE | mallku set NAME");
        }

        var terminal = Open();
        var typed = SecretValue.Allocate(limit);
        try
        {
            using var typing = new HiddenTyping(Reader(terminal));
            Descriptor.Write(Writer(terminal), Encoding.UTF8.GetBytes($"{question}: "));
            var length = ReadLine(terminal, typing, typed);
            if (typing.HasMore())
            {
                throw new SecretsException("more than one line was pasted, and nothing is stored", "pipe a value of several lines: mallku set NAME < FILE");
            }

            var value = SecretValue.Allocate(length);
            typed.AsSpan(0, length).CopyTo(value);
            return value;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(typed);
            Close(terminal);
        }
    }

    // the terminal's own line editing would cut a line at 4095 bytes without a word
    [UnsupportedOSPlatform("windows")]
    private static int ReadLine(int terminal, HiddenTyping typing, byte[] typed)
    {
        var hasLeftOut = false;
        try
        {
            return ReadKeys(terminal, typing, typed, out hasLeftOut);
        }
        finally
        {
            // Enter was not shown either
            Descriptor.Write(Writer(terminal), "\n"u8);
            if (hasLeftOut)
            {
                Notice.Warn("control characters were typed and left out; a value that has them is piped: mallku set NAME < FILE");
            }
        }
    }

    [UnsupportedOSPlatform("windows")]
    private static int ReadKeys(int terminal, HiddenTyping typing, byte[] typed, out bool hasLeftOut)
    {
        hasLeftOut = false;
        var length = 0;
        var sequence = KeySequence.None;
        Span<byte> key = stackalloc byte[1];
        while (Descriptor.Read(Reader(terminal), key) == 1)
        {
            (var isPart, sequence) = Follow(sequence, key[0]);
            if (isPart)
            {
                continue;
            }

            switch (key[0])
            {
                case Escape:
                    // the key Escape sends this byte and no more
                    sequence = typing.HasMore() ? KeySequence.Begun : KeySequence.None;
                    break;
                case LineFeed or Return:
                case EndOfInput when length > 0:
                    return length;
                case EndOfInput:
                    throw new SecretsException("nothing was typed, and nothing is stored", "type or paste the value, then press Enter");
                case Backspace or Delete:
                    length = WithoutLastCharacter(typed, length);
                    break;
                case EraseLine:
                    length = 0;
                    break;
                case EraseWord:
                    length = WithoutLastWord(typed, length);
                    break;
                case Suspend:
                    break;
                case < Space and not Tab:
                    // ^A, ^V and others do something at other prompts, and are in no value that somebody types
                    Descriptor.Write(Writer(terminal), "\a"u8);
                    hasLeftOut = true;
                    break;
                case var typedByte when length < typed.Length:
                    typed[length++] = typedByte;
                    break;
            }
        }

        throw new SecretsException("the terminal was closed, and nothing is stored", "run it again at a terminal, or pipe the value");
    }

    /// <summary>Whether the byte is part of what an arrow or a function key sends after Escape, and how that goes on.</summary>
    private static (bool IsPart, KeySequence Next) Follow(KeySequence sequence, byte key) => (sequence, key) switch
    {
        (KeySequence.Begun, (byte)'[') => (true, KeySequence.Control),
        (KeySequence.Begun, (byte)'O') => (true, KeySequence.Last),
        // F1 to F5 of the Linux console
        (KeySequence.Control, (byte)'[') => (true, KeySequence.Last),
        (KeySequence.Control or KeySequence.Parameters, >= 0x20 and < 0x40) => (true, KeySequence.Parameters),
        (KeySequence.Control or KeySequence.Parameters, >= 0x40 and < Delete) => (true, KeySequence.None),
        (KeySequence.Last, >= 0x20 and < Delete) => (true, KeySequence.None),
        _ => (false, KeySequence.None),
    };

    private static int WithoutLastCharacter(byte[] typed, int length)
    {
        const int continuationMask = 0xC0, continuation = 0x80;
        do
        {
            length = Math.Max(0, length - 1);
        }
        while (length > 0 && (typed[length] & continuationMask) == continuation);
        return length;
    }

    // as a terminal does it: what is blank, and then what is not
    private static int WithoutLastWord(byte[] typed, int length)
    {
        var end = typed.AsSpan(0, length).TrimEnd(" \t"u8);
        return end.LastIndexOfAny(" \t"u8) + 1;
    }

    // no controlling terminal: the one that standard input is
    private static int Open() => OperatingSystem.IsLinux() ? Libc.Open("/dev/tty", ReadAndWrite | NoControlling | CloseOnExecute) : -1;

    private static int Reader(int terminal) => terminal >= 0 ? terminal : Descriptor.Input;

    private static int Writer(int terminal) => terminal >= 0 ? terminal : Descriptor.Error;

    private static void Close(int terminal)
    {
        if (terminal >= 0)
        {
            _ = Libc.Close(terminal);
        }
    }

    /// <summary>What of a key's escape sequence has come.</summary>
    private enum KeySequence
    {
        None,
        Begun,
        Control,
        Parameters,
        Last,
    }
}

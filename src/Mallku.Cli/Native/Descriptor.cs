namespace Mallku.Cli.Native;

/// <summary>
/// Reads and writes the standard streams by their descriptors. <see cref="Console"/> would set up the terminal, signal
/// handlers and a thread, which costs more than a whole <c>mallku get</c>.
/// </summary>
internal static unsafe class Descriptor
{
    internal const int Input = 0, Output = 1, Error = 2;

    internal static bool IsTerminal(int descriptor) => OperatingSystem.IsWindows()
        ? descriptor switch { Input => !Console.IsInputRedirected, Output => !Console.IsOutputRedirected, _ => !Console.IsErrorRedirected }
        : Libc.IsTerminal(descriptor) == 1;

    /// <summary>The terminal's width in characters, or null where it does not say.</summary>
    internal static int? GetWidth(int descriptor)
    {
        const nuint getWindowSize = 0x5413;
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        var size = stackalloc ushort[4];
        return Libc.Control(descriptor, getWindowSize, size) == 0 && size[1] > 0 ? size[1] : null;
    }

    /// <summary>Waits, and throws at once where nobody reads the output any more.</summary>
    /// <exception cref="ClosedPipeException">The reader has gone.</exception>
    internal static void Wait(int descriptor, int milliseconds)
    {
        if (OperatingSystem.IsWindows())
        {
            Task.Delay(milliseconds).Wait();
            return;
        }

        // no events: what is told then is only that the other end is closed
        Span<int> waited = [descriptor, 0];
        fixed (int* start = waited)
        {
            if (Libc.Poll(start, 1, milliseconds) > 0)
            {
                throw new ClosedPipeException();
            }
        }
    }

    /// <exception cref="ClosedPipeException">The reader has gone.</exception>
    /// <exception cref="IOException">The bytes could not be written.</exception>
    internal static void Write(int descriptor, ReadOnlySpan<byte> bytes)
    {
        if (OperatingSystem.IsWindows())
        {
            using var stream = descriptor == Error ? Console.OpenStandardError() : Console.OpenStandardOutput();
            stream.Write(bytes);
            return;
        }

        while (!bytes.IsEmpty)
        {
            nint written;
            fixed (byte* start = bytes)
            {
                written = Libc.Write(descriptor, start, bytes.Length);
            }

            if (written >= 0)
            {
                bytes = bytes[(int)written..];
            }
            else if (Libc.Error is var error && !GoesOn(error, descriptor, Libc.Writable))
            {
                throw error == Libc.BrokenPipe ? new ClosedPipeException() : new IOException($"the output can't be written: {Libc.Describe(error)}");
            }
        }
    }

    // another program may have set a shared stream not to wait
    private static bool GoesOn(int error, int descriptor, short what)
    {
        const int forever = -1;
        if (error == Libc.WouldBlock)
        {
            Span<int> waited = [descriptor, what];
            fixed (int* start = waited)
            {
                _ = Libc.Poll(start, 1, forever);
            }
        }

        return error == Libc.WouldBlock || error == Libc.Interrupted;
    }

    /// <summary>Reads what is there, at least one byte; 0 at the end.</summary>
    internal static int Read(int descriptor, Span<byte> buffer)
    {
        if (OperatingSystem.IsWindows())
        {
            using var stream = Console.OpenStandardInput();
            return stream.Read(buffer);
        }

        while (true)
        {
            nint count;
            fixed (byte* start = buffer)
            {
                count = Libc.Read(descriptor, start, buffer.Length);
            }

            if (count >= 0)
            {
                return (int)count;
            }

            if (Libc.Error is var error && !GoesOn(error, descriptor, Libc.Readable))
            {
                throw new IOException($"the input can't be read: {Libc.Describe(error)}");
            }
        }
    }
}

/// <summary>Nobody reads the output any more: no reason to say anything.</summary>
internal sealed class ClosedPipeException : IOException;

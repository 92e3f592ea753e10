using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Mallku.Cli.Terminal;

/// <summary>The JSON of <c>--json</c>: indented, times in UTC, and what is unknown is null instead of absent.</summary>
internal static class Json
{
    // names are read by people too; nothing here ends up in a web page
    private static readonly JsonWriterOptions Style = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static void Write(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Style))
        {
            content(writer);
        }

        buffer.Write("\n"u8);
        Channel.Output.Write(buffer.WrittenSpan);
    }

    /// <summary>An array, written as its items come.</summary>
    internal static void WriteArray<T>(IEnumerable<T> items, Action<Utf8JsonWriter, T> write)
    {
        const int atOnce = 1 << 16;
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Style))
        {
            writer.WriteStartArray();
            foreach (var item in items)
            {
                write(writer, item);
                if (writer.BytesPending + buffer.WrittenCount > atOnce)
                {
                    writer.Flush();
                    Channel.Output.Write(buffer.WrittenSpan);
                    buffer.ResetWrittenCount();
                }
            }

            writer.WriteEndArray();
        }

        buffer.Write("\n"u8);
        Channel.Output.Write(buffer.WrittenSpan);
    }

    /// <summary>A line for each item.</summary>
    internal static void WriteLines<T>(IEnumerable<T> items, Action<Utf8JsonWriter, T> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        foreach (var item in items)
        {
            using (var writer = new Utf8JsonWriter(buffer, Style with { Indented = false }))
            {
                write(writer, item);
            }

            buffer.Write("\n"u8);
        }

        Channel.Output.Write(buffer.WrittenSpan);
    }

    internal static void WriteNumberOrNull(this Utf8JsonWriter writer, string name, long? number)
    {
        if (number is { } known)
        {
            writer.WriteNumber(name, known);
        }
        else
        {
            writer.WriteNull(name);
        }
    }

    internal static void WriteTimeOrNull(this Utf8JsonWriter writer, string name, DateTimeOffset? time) =>
        writer.WriteString(name, time is { } known ? Moment.Iso(known) : null);

    internal static void WriteStrings(this Utf8JsonWriter writer, string name, IEnumerable<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (var text in texts)
        {
            writer.WriteStringValue(text);
        }

        writer.WriteEndArray();
    }

    /// <summary>An error as both of its lines.</summary>
    internal static void WriteErrorOrNull(this Utf8JsonWriter writer, string name, SecretsException? error)
    {
        if (error is null)
        {
            writer.WriteNull(name);
            return;
        }

        writer.WriteStartObject(name);
        writer.WriteString("problem", error.Problem);
        writer.WriteString("remedy", error.Remedy);
        writer.WriteEndObject();
    }
}

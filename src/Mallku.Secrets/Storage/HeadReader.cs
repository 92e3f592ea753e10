using System.Text.Json;

namespace Mallku.Secrets.Storage;

/// <summary>Reads what a shared store says of one secret, whose values lie apart (docs/formats/store-v1.md).</summary>
internal sealed class HeadReader : SecretReader
{
    private readonly string _where;

    private HeadReader(ReadOnlyMemory<byte> json, string where)
        : base(json, valuesLieApart: true) => _where = where;

    /// <param name="head">In memory of its own, which the record goes on to use.</param>
    /// <param name="name">The secret's name.</param>
    /// <param name="where">Where it is from, for errors.</param>
    /// <exception cref="VaultOpenException">It is not what this program writes.</exception>
    internal static SecretRecord Read(RawJson head, string name, string where)
    {
        var reader = new HeadReader(head.Utf8, where);
        try
        {
            var tokens = new Utf8JsonReader(head.Utf8.Span, new JsonReaderOptions { MaxDepth = SecretFormat.MaxDepth });
            tokens.Read();
            reader.RequireToken(tokens, JsonTokenType.StartObject, "versions");
            var record = new SecretRecord(name);
            reader.ReadSecret(ref tokens, record);
            return record;
        }
        catch (JsonException)
        {
            // its own message would quote what is sealed
            throw reader.Misunderstood("versions");
        }
    }

    protected override VaultOpenException Misunderstood(string member) => new($"{_where} opens and has a '{member}' that no mallku wrote", "put a backup in its place");
}

namespace Mallku.Secrets.Models;

/// <summary>A sealed record as the medium gets it.</summary>
/// <param name="Json">A JSON object in UTF-8.</param>
/// <param name="Terms">Under what it is found.</param>
internal sealed record SecuredDocument(ReadOnlyMemory<byte> Json, IReadOnlyList<string> Terms);

/// <summary>Where a document belongs: it opens nowhere else.</summary>
/// <param name="Kind">The kind of its record.</param>
/// <param name="Id">The id of its record.</param>
/// <param name="Bound">More that is bound to it and not in it.</param>
internal readonly record struct SealContext(string Kind, string Id, ReadOnlyMemory<byte> Bound = default);

/// <summary>A record does not authenticate: which of the reasons it is can't be told.</summary>
internal sealed class RecordOpenException(SealContext context) : SecretsException(
    $"the record '{Show(context.Id)}' ({context.Kind}) does not open: it was altered or moved, or is of another store, or sealed under a key that is not here",
    "use the store's own key; where that is what was used, put a backup of the record in its place");

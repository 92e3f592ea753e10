using System.Text.Json.Serialization.Metadata;

namespace Mallku.Secrets.Models;

/// <summary>What a record type may declare: refused is what contradicts itself, or tells by one field what another hides.</summary>
internal static class SecuredRules
{
    private const long WidestSeconds = long.MaxValue / TimeSpan.TicksPerSecond;

    // the record store takes no more
    private const int MostIndexes = 8;

    /// <summary>Whether a property is a field of documents, or says that it is.</summary>
    internal static bool IsField(JsonPropertyInfo property) => !property.IsExtensionData && (property.Get is not null || Find(property) is not null);

    /// <summary>How a property is kept and found.</summary>
    /// <exception cref="ArgumentException">It does not say, or contradicts itself.</exception>
    internal static SecuredAttribute Read(JsonPropertyInfo property)
    {
        var declared = Find(property) ?? throw Refusal(property, "does not say how it is kept: put [Secured(…)] on it");
        return FindFault(declared, property) is { } fault ? throw Refusal(property, fault) : declared;
    }

    /// <exception cref="ArgumentException">The fields contradict each other.</exception>
    internal static void RequireTogether(Type model, IReadOnlyList<SecuredField> fields)
    {
        if (fields.Count(static field => field.Declared.Index != IndexStrategy.None) > MostIndexes)
        {
            throw new ArgumentException($"{model.Name} has more than {MostIndexes} indexes.", nameof(fields));
        }

        if (fields.GroupBy(static field => field.Member, StringComparer.Ordinal).FirstOrDefault(static same => same.Count() > 1) is { } twice)
        {
            throw new ArgumentException($"{model.Name} has two fields of the name '{twice.Key}'.", nameof(fields));
        }

        if (fields.FirstOrDefault(static field => field.Declared.Index == IndexStrategy.TemporalOffset) is { } hidden
            && fields.FirstOrDefault(static field => field.Kind == IndexValueKind.Time && !field.IsShifted && IsClear(field)) is { } open)
        {
            throw new ArgumentException(
                $"{model.Name}.{open.Name} shows a time, and so the secret offset that hides {hidden.Name}: give it a TemporalOffset too, or encrypt it.", nameof(fields));
        }

        if (fields.Where(static field => field.Group is not null).GroupBy(static field => field.Group, StringComparer.Ordinal)
            .FirstOrDefault(static group => group.Any(IsClear) && !group.All(IsClear)) is { } mixed)
        {
            throw new ArgumentException(
                $"{model.Name} has fields in clear and encrypted ones in the group '{mixed.Key}': equal values would show what the encrypted ones hold.", nameof(fields));
        }
    }

    private static SecuredAttribute? Find(JsonPropertyInfo property) =>
        property.AttributeProvider?.GetCustomAttributes(typeof(SecuredAttribute), inherit: true).OfType<SecuredAttribute>().FirstOrDefault();

    private static bool IsClear(SecuredField field) => field.Declared.Obfuscation != Obfuscation.Encrypted;

    private static string? FindFault(SecuredAttribute declared, JsonPropertyInfo property)
    {
        var kind = IndexValue.KindOf(property.PropertyType);
        return declared switch
        {
            _ when property.Get is null => "says how it is kept, and is never written",
            { Obfuscation: Obfuscation.None } when property.Name.StartsWith('$') => "has a name of the format's own: it begins with '$'",
            { Index: not IndexStrategy.Bucketed, BucketWidth: not 0 } => "has a width of buckets, and its index is not Bucketed",
            { Index: not IndexStrategy.Deterministic, Group: not null } => "is in a group, and its index is not Deterministic",
            { Index: IndexStrategy.None, Searchable: Search.Range } => "is searched by ranges, and has no index",
            { Index: IndexStrategy.None } => null,
            { Index: IndexStrategy.TemporalOffset } when kind != IndexValueKind.Time => "has a TemporalOffset, and is no DateTimeOffset",
            _ when kind == IndexValueKind.Other => "has an index, and is no string, int, long or DateTimeOffset",
            { Index: IndexStrategy.Identity, Obfuscation: Obfuscation.Encrypted } =>
                "is encrypted, and an Identity index would show it: Blind finds equal values, Bucketed and TemporalOffset find ranges",
            { Index: IndexStrategy.Deterministic or IndexStrategy.Blind, Searchable: Search.Range } =>
                $"is searched by ranges, and a {declared.Index} index finds equal values only: Bucketed and TemporalOffset find ranges",
            { Index: IndexStrategy.Bucketed } when kind == IndexValueKind.Text => "is Bucketed, and is a text, which has no buckets",
            { Index: IndexStrategy.Bucketed, BucketWidth: <= 0 } => "is Bucketed, and has no BucketWidth",
            { Index: IndexStrategy.Bucketed, BucketWidth: > WidestSeconds } => "has buckets that are too wide",
            _ => null,
        };
    }

    private static ArgumentException Refusal(JsonPropertyInfo property, string fault) => new($"{property.DeclaringType.Name}.{property.Name} {fault}.", nameof(property));
}

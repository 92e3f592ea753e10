using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Mallku.Secrets.Models;

/// <summary>Index terms from one to another, both within; just one, where they are the same.</summary>
internal readonly record struct TermRange(string First, string Last);

/// <summary>A field of a record type: its names, and the terms that it is found by.</summary>
internal sealed class SecuredField
{
    // of 200 characters of a term, after the prefix
    private const int LongestText = 83;
    private const int MostBuckets = 100, LongestTime = 40;
    private readonly JsonPropertyInfo _property;
    private readonly IndexKey _index;
    private readonly string _id, _group;
    private readonly long _width;

    /// <exception cref="ArgumentException">The property does not say how it is kept, or contradicts itself.</exception>
    internal SecuredField(JsonPropertyInfo property, string model, IndexKey index)
    {
        Declared = SecuredRules.Read(property);
        Name = ((MemberInfo)property.AttributeProvider!).Name;
        Member = property.Name;
        Encoded = JsonEncodedText.Encode(Member);
        Kind = IndexValue.KindOf(property.PropertyType);
        var uuid = index.FieldId(model, property.Name);
        Stored = Declared.Obfuscation == Obfuscation.None ? property.Name : uuid.ToString();
        _property = property;
        _index = index;
        _id = uuid.ToString("N");
        _group = Declared.Group ?? model;
        _width = Declared.BucketWidth * (Kind == IndexValueKind.Time ? TimeSpan.TicksPerSecond : 1);
    }

    internal SecuredAttribute Declared { get; }

    /// <summary>The property's name in the program.</summary>
    internal string Name { get; }

    /// <summary>Its name in the record type's JSON.</summary>
    internal string Member { get; }

    internal JsonEncodedText Encoded { get; }

    /// <summary>Its name in a document.</summary>
    internal string Stored { get; }

    internal IndexValueKind Kind { get; }

    /// <summary>Which fields' equal values show as equal, where there are such fields.</summary>
    internal string? Group => Declared.Index == IndexStrategy.Deterministic ? _group : null;

    /// <summary>Whether what a document has of it is the shifted time.</summary>
    internal bool IsShifted => Declared is { Index: IndexStrategy.TemporalOffset, Obfuscation: not Obfuscation.Encrypted };

    /// <summary>By how much its name and value in the clear may be longer than in a document.</summary>
    internal int MostAdded => Encoded.EncodedUtf8Bytes.Length + LongestTime;

    /// <summary>What a record is found by; null where it has no value, or the field no index.</summary>
    internal string? TermOf(object model) => Declared.Index != IndexStrategy.None && IndexValue.Of(_property.Get!(model)) is { } value ? Term(value) : null;

    /// <exception cref="ArgumentException">The field has no index, or one of other values.</exception>
    /// <exception cref="SecretsException">A text is longer than its index takes.</exception>
    internal string Term(IndexValue value)
    {
        Require(value);
        return Declared.Index switch
        {
            IndexStrategy.Identity when value.Ordered.Length > 2 * LongestText => throw new SecretsException(
                $"{Name} has {value.Ordered.Length / 2} bytes, more than its index takes, {LongestText}; nothing was changed", "use a shorter text"),
            IndexStrategy.Identity => Prefix(value.Ordered),
            IndexStrategy.TemporalOffset => Prefix(Shift(value)),
            IndexStrategy.Deterministic => Prefix(_index.Hash("mallku/v1/index-deterministic", _group, value.KindName, value.Hashed)),
            IndexStrategy.Blind => Prefix(_index.Hash("mallku/v1/index-blind", _id, value.KindName, value.Hashed)),
            _ => BucketTerm(Bucket(value.Number)),
        };
    }

    /// <summary>The terms of all values from one to another, and for buckets of some around them. None, where the first is the greater.</summary>
    /// <exception cref="ArgumentException">The field has no index for ranges, or one of other values, or the range has too many buckets.</exception>
    internal IReadOnlyList<TermRange> Range(IndexValue from, IndexValue to)
    {
        Require(from);
        Require(to);
        if (string.CompareOrdinal(from.Ordered, to.Ordered) > 0)
        {
            return [];
        }

        if (Declared.Index is IndexStrategy.Identity or IndexStrategy.TemporalOffset)
        {
            return [new(Term(from), Term(to))];
        }

        if (Declared.Index != IndexStrategy.Bucketed)
        {
            throw new ArgumentException($"{Name} is found by equal values only: its index is {Declared.Index}.", nameof(from));
        }

        var (first, last) = (Bucket(from.Number), Bucket(to.Number));
        if ((Int128)last - first >= MostBuckets)
        {
            throw new ArgumentException($"That range of {Name} has more than {MostBuckets} buckets.", nameof(to));
        }

        var buckets = Enumerable.Range(0, (int)(last - first) + 1).Select(i => BucketTerm(first + i));
        return [.. buckets.Select(static term => new TermRange(term, term))];
    }

    /// <summary>The time as it is stored and found: in the order of the times, and not where they are.</summary>
    internal string Shift(IndexValue time) => IndexValue.ToOrdered(time.Number + _index.TimeOffset);

    internal DateTimeOffset ShiftBack(string stored) => new(IndexValue.FromOrdered(stored) - _index.TimeOffset, TimeSpan.Zero);

    private void Require(IndexValue value)
    {
        if (Declared.Index == IndexStrategy.None || value.Kind != Kind)
        {
            throw new ArgumentException($"{Name} is not found by a {value.KindName}: its index is {Declared.Index}, of a {Kind}.", nameof(value));
        }
    }

    private long Bucket(long value) => (value / _width) - (value % _width < 0 ? 1 : 0);

    private string BucketTerm(long bucket) => Prefix(_index.Hash("mallku/v1/index-bucket", _id, Text(_width), Text(bucket)));

    private string Prefix(string term) => $"{_id}.{term}";

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}

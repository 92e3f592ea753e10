namespace Mallku.Bench;

/// <summary>A median, and between what it lies with 95 % of confidence: the distance in ranks is that of a fair coin.</summary>
internal sealed record Estimate(double Median, double Lowest, double Highest) : IFormattable
{
    internal static Estimate Of(List<double> figures)
    {
        const double ranksOfConfidence = 0.98;
        var sorted = figures.Order().ToList();
        var distance = (int)Math.Ceiling(ranksOfConfidence * Math.Sqrt(sorted.Count));
        var middle = sorted.Count / 2;
        return new Estimate(sorted[middle], sorted[Math.Max(middle - distance, 0)], sorted[Math.Min(middle + distance, sorted.Count - 1)]);
    }

    public string ToString(string? format, IFormatProvider? formatProvider) =>
        $"{Median.ToString(format, formatProvider)} [{Lowest.ToString(format, formatProvider)}, {Highest.ToString(format, formatProvider)}]";
}

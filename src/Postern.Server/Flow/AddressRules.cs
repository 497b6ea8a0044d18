using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Postern.Server.Flow;

/// <summary>Which addresses are somebody's on the open internet. Asked for the resolved address, never for a name:
/// names have endless spellings and change their answer between two questions.</summary>
internal static class AddressRules
{
    private static readonly (uint Network, int Bits)[] Reserved4 =
    [
        Net(0, 0, 0, 0, 8),         // this network
        Net(10, 0, 0, 0, 8),        // RFC 1918
        Net(100, 64, 0, 0, 10),     // carrier-grade NAT, RFC 6598; a cloud's metadata at 100.100.100.200
        Net(127, 0, 0, 0, 8),       // loopback
        Net(168, 63, 129, 16, 32),  // a cloud's wire server
        Net(169, 254, 0, 0, 16),    // link-local, metadata of most clouds
        Net(172, 16, 0, 0, 12),     // RFC 1918
        Net(192, 0, 0, 0, 24),      // protocol assignments, metadata of a cloud at 192.0.0.192
        Net(192, 0, 2, 0, 24),      // documentation
        Net(192, 88, 99, 0, 24),    // 6to4 relays
        Net(192, 168, 0, 0, 16),    // RFC 1918
        Net(198, 18, 0, 0, 15),     // benchmarks
        Net(198, 51, 100, 0, 24),   // documentation
        Net(203, 0, 113, 0, 24),    // documentation
        Net(224, 0, 0, 0, 4),       // multicast
        Net(240, 0, 0, 0, 4),       // reserved, broadcast
    ];

    /// <summary>True for a unicast address that is reachable by anybody; false for loopback, private, link-local, shared,
    /// metadata, multicast, reserved and unspecified ones, also where IPv6 carries such an IPv4 address inside.</summary>
    public static bool IsPublic(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        return address.AddressFamily switch
        {
            AddressFamily.InterNetwork => address.TryWriteBytes(bytes, out _) && IsPublic4(bytes),
            AddressFamily.InterNetworkV6 => address.ScopeId == 0 && address.TryWriteBytes(bytes, out _) && IsPublic6(bytes),
            _ => false,
        };
    }

    private static bool IsPublic4(ReadOnlySpan<byte> bytes)
    {
        var address = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        foreach (var (network, bits) in Reserved4)
        {
            if ((address ^ network) >> (32 - bits) == 0) return false;
        }
        return true;
    }

    private static bool IsPublic6(ReadOnlySpan<byte> a)
    {
        var high = BinaryPrimitives.ReadUInt64BigEndian(a);
        var low = BinaryPrimitives.ReadUInt64BigEndian(a[8..]);
        if (high == 0 && low >> 32 == 0xFFFF) return IsPublic4(a[12..]);                                  // IPv4-mapped
        if (high == 0x0064_FF9B_0000_0000 && low >> 32 == 0) return IsPublic4(a[12..]);                   // NAT64, RFC 6052
        if (a[0] >> 5 != 0b001) return false;                                                            // only 2000::/3 is global unicast
        if (high >> 48 == 0x2002) return false;                                                          // 6to4
        if (high >> 41 == 0x2001_0000_0000_0000 >> 41) return false;                                     // 2001::/23: Teredo, ORCHID, benchmarks
        if (high >> 32 == 0x2001_0DB8 || high >> 44 == 0x3FFF0) return false;                            // documentation
        return ((low >> 32) & 0xFCFF_FFFF) != 0x0000_5EFE || IsPublic4(a[12..]);                         // ISATAP, RFC 5214
    }

    private static (uint, int) Net(byte a, byte b, byte c, byte d, int bits) => ((uint)(a << 24 | b << 16 | c << 8 | d), bits);
}

"""The token prefix that Bitcoin Cash puts in front of a script (CHIP-2022-02-CashTokens, "Token Encoding")."""

PREFIX = b"\xef"
CATEGORY_END = 33  # the prefix byte and the token's category
RESERVED, HAS_COMMITMENT, HAS_NFT, HAS_AMOUNT = 0x80, 0x40, 0x20, 0x10
CAPABILITY = 0x0F
MUTABLE_MINTING = 2  # the largest capability
LONG_FORMS = {0xFD: 2, 0xFE: 4, 0xFF: 8}
LARGEST_AMOUNT = 2**63 - 1


def without_token(script: bytes) -> bytes:
    """The script behind a token prefix; the whole script where what looks like one is none.

    Outputs older than the upgrade of May 2023 may begin with the same byte and mean nothing by it.
    """
    try:
        end = _prefix_end(script)
    except (IndexError, ValueError):
        return script
    return script[end:]


def _prefix_end(script: bytes) -> int:
    bits = script[CATEGORY_END]
    at = CATEGORY_END + 1
    has_nft, has_amount = bits & HAS_NFT, bits & HAS_AMOUNT
    if bits & RESERVED or not (has_nft or has_amount):
        raise ValueError("neither a token nor an NFT")
    if bits & CAPABILITY > (MUTABLE_MINTING if has_nft else 0):
        raise ValueError("an unknown capability")
    if bits & HAS_COMMITMENT:
        length, at = _number(script, at)
        if not has_nft or length == 0:
            raise ValueError("a commitment of nothing")
        at += length
    if has_amount:
        amount, at = _number(script, at)
        if not 0 < amount <= LARGEST_AMOUNT:
            raise ValueError("an amount out of range")
    if at > len(script):
        raise ValueError("cut off")
    return at


def _number(script: bytes, at: int) -> tuple[int, int]:
    """A CompactSize in its shortest form, whatever its size."""
    first = script[at]
    width = LONG_FORMS.get(first, 0)
    if not width:
        return first, at + 1
    end = at + 1 + width
    number = int.from_bytes(script[at + 1 : end], "little")
    shortest = {2: 0xFD, 4: 0x1_0000, 8: 0x1_0000_0000}[width]
    if end > len(script) or number < shortest:
        raise ValueError("cut off or not in its shortest form")
    return number, end

"""A small real ERC-20, assembled by hand: balanceOf, transfer with its event, and decimals; no compiler needed.

An account's balance lies in the storage slot whose number is the account's address, so that a test sets it directly.
"""

OPCODES = {
    "ADD": 0x01, "SUB": 0x03, "LT": 0x10, "EQ": 0x14, "SHR": 0x1C, "CALLER": 0x33, "CALLDATALOAD": 0x35,
    "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMPI": 0x57, "JUMPDEST": 0x5B, "PUSH0": 0x5F,
    "DUP1": 0x80, "DUP2": 0x81, "DUP3": 0x82, "SWAP1": 0x90, "LOG3": 0xA3, "RETURN": 0xF3, "REVERT": 0xFD,
}  # fmt: skip
PUSH1 = 0x60

TRANSFER_EVENT = (
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"  # Transfer(address,address,uint256)
)

# Stack comments show the top at the right.
SOURCE = """
    PUSH0 CALLDATALOAD 0xe0 SHR             ; selector
    DUP1 0x70a08231 EQ @balanceOf JUMPI     ; selector
    DUP1 0xa9059cbb EQ @transfer JUMPI      ; selector
    0x313ce567 EQ @decimals JUMPI
    PUSH0 PUSH0 REVERT

  balanceOf:
    0x04 CALLDATALOAD SLOAD PUSH0 MSTORE
    0x20 PUSH0 RETURN

  decimals:
    {decimals} PUSH0 MSTORE
    0x20 PUSH0 RETURN

  transfer:
    0x24 CALLDATALOAD CALLER SLOAD          ; amount balance
    DUP2 DUP2 LT @short JUMPI               ; amount balance
    DUP2 SWAP1 SUB CALLER SSTORE            ; amount
    0x04 CALLDATALOAD DUP1 SLOAD            ; amount to held
    DUP3 ADD SWAP1 SSTORE                   ; amount
    PUSH0 MSTORE
    0x04 CALLDATALOAD CALLER {event} 0x20 PUSH0 LOG3
    0x01 PUSH0 MSTORE
    0x20 PUSH0 RETURN

  short:
    PUSH0 PUSH0 REVERT
"""


def assemble(source: str) -> bytes:
    """Mnemonics, 0x constants (pushed), @label (its place, pushed in one byte), label: (a JUMPDEST), `;` comments."""
    code, labels, holes = bytearray(), dict[str, int](), dict[int, str]()
    for word in (word for line in source.splitlines() for word in line.split(";")[0].split()):
        if word.endswith(":"):
            labels[word[:-1]] = len(code)
            code.append(OPCODES["JUMPDEST"])
        elif word.startswith("@"):
            holes[len(code) + 1] = word[1:]
            code += bytes([PUSH1, 0])
        elif word.startswith("0x"):
            constant = bytes.fromhex(word[2:])
            code += bytes([PUSH1 + len(constant) - 1]) + constant
        else:
            code.append(OPCODES[word])
    for place, label in holes.items():
        code[place] = labels[label]
    return bytes(code)


def erc20_code(*, decimals: int) -> str:
    """Runtime bytecode for anvil_setCode."""
    return "0x" + assemble(SOURCE.format(decimals=f"0x{decimals:02x}", event=TRANSFER_EVENT)).hex()


def transfer_data(to: str, amount: int) -> str:
    """Call data of transfer(to, amount)."""
    return f"0xa9059cbb{to[2:]:0>64}{amount:064x}"


def balance_of_data(account: str) -> str:
    return f"0x70a08231{account[2:]:0>64}"

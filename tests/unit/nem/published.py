"""Real blocks, transactions and addresses, as published; each with its source."""

from typing import Any

Json = dict[str, Any]

COINCHECK = "NC3BI3DNMR2PGEOOMP2NKXQGSAKMS7GYRKVA5CSZ"
THIEF = "NC4C6PSUW5CLTDT5SXAGJDQJGZNESKFK5MCN77OG"

ADDRESSES = {
    "C5F54BA980FCBB657DBAAA42700539B207873E134D2375EFEAB5F1AB52F87844": (
        "NDD2CT6LQLIYQ56KIXI3ENTM6EK3D44P5JFXJ4R4",
        "TDD2CT6LQLIYQ56KIXI3ENTM6EK3D44P5KZPFMK2",
    ),
    "96EB2A145211B1B7AB5F0D4B14F8ABC8D695C7AEE31A3CFC2D4881313C68EEA3": (
        "NABHFGE5ORQD3LE4O6B7JUFN47ECOFBFASC3SCAC",
        "TABHFGE5ORQD3LE4O6B7JUFN47ECOFBFATE53N2I",
    ),
    "2D8425E4CA2D8926346C7A7CA39826ACD881A8639E81BD68820409C6E30D142A": (
        "NAVOZX4HDVOAR4W6K4WJHWPD3MOFU27DFHC7KZOZ",
        "TAVOZX4HDVOAR4W6K4WJHWPD3MOFU27DFEJDR2PR",
    ),
    "4FEED486777ED38E44C489C7C4E93A830E4C4A907FA19A174E630EF0F6ED0409": (
        "NBZ6JK5YOCU6UPSSZ5D3G27UHAPHTY5HDQMGE6TT",
        "TBZ6JK5YOCU6UPSSZ5D3G27UHAPHTY5HDQCDS5YA",
    ),
    "83EE32E4E145024D29BCA54F71FA335A98B3E68283F1A3099C4D4AE113B53E54": (
        "NCQW2P5DNZ5BBXQVGS367DQ4AHC3RXOEVGRCLY6V",
        "TCQW2P5DNZ5BBXQVGS367DQ4AHC3RXOEVFZOQCJ6",
    ),
}
"""Public key to its address on mainnet and on testnet. Source: symbol/symbol, tests/vectors/nem/crypto, file
1.test-address.json."""

BLOCK_3: Json = {
    "timeStamp": 73976,
    "signature": (
        "919ae66a34119b49812b335827b357f86884ab08b628029fd6e8db3572faeb4f"
        "323a7bf9488c76ef8faa5b513036bbcce2d949ba3e41086d95a54c0007403c0b"
    ),
    "prevBlockHash": {"data": "1dd9d4d7b6af603d29c082f9aa4e123f07d18154ddbcd7ddc6702491b854c5e4"},
    "type": 1,
    "transactions": [],
    "version": 1744830465,
    "signer": "45c1553fb1be7f25b6f79278b9ede1129bb9163f3b85883ea90f1c66f497e68b",
    "height": 3,
}
"""Mainnet's third block. Source: symbol/product, light API and explorer tests, which name its hash."""
HASH_3 = "9708256e8a8dfb76eed41dcfa2e47f4af520b7b3286afb7f60dca02851f8a53e"

BLOCK_1051051: Json = {
    "height": 1051051,
    "prevBlockHash": {"data": "35e2b73c979f733ac401c78efdf8d7e8fbd951f766d7334bc8a2fd5ebc8815ce"},
    "signature": (
        "58c9f1324fed656dfe5539b60e1116c19a1414386475957eda9108c6bdfbe35a"
        "7e7ffc413e963bf690e0612b750004f66e12b11656bd53a3326cae3fc9c99e0c"
    ),
    "signer": "14a9611f2913233fc74d97654ae88626a816249bd77e0bd9b3f53276ac6bed9e",
    "timeStamp": 63656860,
    "transactions": [
        {
            "amount": 57713397132,
            "deadline": 63657452,
            "fee": 40000000,
            "message": {"payload": "39643365386337316464376631366532", "type": 1},
            "recipient": "NBZMQO7ZPBYNBDUR7F75MAKA2S3DHDCIFG775N3D",
            "signature": (
                "220ff8e40445c731f9a898efe165815e1f49a2038738dd60f2545f4fe11f6eed"
                "1d074bcf28a06f576d892ce094a2b2730c066f830b6eb23ef0cdbaf7ade1680d"
            ),
            "signer": "a025abd5dd0f0e9f226c4673be03a5a3d72cb95b8acd39fe4f2f2c2fb2d1b9ec",
            "timeStamp": 63656852,
            "type": 257,
            "version": 1744830465,
        }
    ],
    "type": 1,
    "version": 1744830465,
}
"""Mainnet's last block when it was asked for. Source: docs.nem.io, NEM Dev Basics (Docker), Blockchain Requests."""

TESTNET_88611: Json = {
    "height": 88611,
    "prevBlockHash": {"data": "1fdc88a8d4077f39cffc382934b60d9cc9a8a36c9836c944b930cc3ed88f1bd1"},
    "signature": (
        "4fe78e41c6b5f497b4f2d45d2d049dbde6fb46eb8eb076bbedcf50c77c2bf534"
        "9ef42e83183ffae9f2fbafe38b57c76485c11f2434e40c84c2e83bd276bb8e00"
    ),
    "signer": "f60ab8a28a42637062e6ed43a20793735c58cb3e8f3a0ab74148d591a82eba4d",
    "timeStamp": 6193224,
    "transactions": [],
    "type": 1,
    "version": -1744830463,
}
"""As above."""

APOSTILLE: Json = {
    "amount": 0,
    "deadline": 60727263,
    "fee": 18000000,
    "message": {
        "payload": "fe4e54590318b3ce5de42067de2af1da69bb082b6c05a425198f407a392cba3bdae5c3b686",
        "type": 1,
    },
    "recipient": "NCZSJHLTIMESERVBVKOW6US64YDZG2PFGQCSV23J",
    "signature": (
        "bc7676f2ba4cb1d88110956b6b21dcf2356b2f86e47c44359a88a74d3d12e6a9"
        "18fa5a920aff94af7d0984f644a51e18aa2a24bc1890cabad2f3fd2c9f79340e"
    ),
    "signer": "826cedee421ff66e708858c17815fcd831a4bb68e3d8956299334e9e24380ba8",
    "timeStamp": 60723663,
    "type": 257,
    "version": 1744830465,
}
"""A mainnet transaction. Source: as above; its hash stands beside it."""
APOSTILLE_HASH = "06c19b8c53838fdaefb4a04126bc78e0c3ab90db48d8dba43f2063bb02139d69"

// A bcoin plugin for tests: mines to any script, and tells why a transaction is not accepted; bcoin's own calls do neither.
'use strict';

const lib = (name) => require(`${require.main.path}/../lib/${name}`);
const Address = lib('primitives/address');
const Script = lib('script/script');
const TX = lib('primitives/tx');

const reversed = (hex) => Buffer.from(hex, 'hex').reverse().toString('hex');

exports.id = 'laboratory';

exports.init = (node) => {
  const {chain, mempool, miner, rpc} = node;

  const evict = (txid) => {
    const entry = mempool.getEntry(reversed(txid));
    if (entry)
      mempool.evictEntry(entry);
    return Boolean(entry);
  };

  const add = async (tx) => {
    const missing = await mempool.addTX(tx);
    if (missing)
      throw new Error(`missing: ${missing.map(reversed)}`);
    return tx.txid();
  };

  // minetoscript count script
  rpc.add('minetoscript', async ([count, hex]) => {
    const address = Address.fromScript(Script.fromRaw(hex, 'hex'));
    const hashes = [];
    for (let done = 0; done < count; done++) {
      const entry = await chain.add(await miner.mineBlock(null, address));
      hashes.push(entry.rhash());
    }
    return hashes;
  });

  // What may be pending again after a reorganisation: bcoin itself keeps transactions whose coins are gone.
  const refill = async (transactions) => {
    await mempool.reset();
    for (const tx of transactions) {
      try {
        await mempool.addTX(tx);
      } catch (error) {
        if (error.type !== 'VerifyError')
          throw error;
      }
    }
  };

  // minebranch parent blocks script: a block with these transactions alone upon the other, the first upon the parent;
  // the node moves to their branch when it is the longest, and what its old branch had confirmed is pending again
  rpc.add('minebranch', async ([parent, blocks, hex]) => {
    const address = Address.fromScript(Script.fromRaw(hex, 'hex'));
    const hashes = [];
    const undone = [];
    const gather = (entry, block) => undone.unshift(...block.txs.slice(1));
    const pending = [...mempool.map.values()].map((entry) => entry.tx);
    let tip = await chain.getEntry(reversed(parent));
    chain.on('disconnect', gather);
    for (const transactions of blocks) {
      const job = await miner.createJob(tip, address);
      job.attempt.items = [];
      job.attempt.fees = 0;
      for (const raw of transactions)
        job.attempt.pushTX(TX.fromRaw(raw, 'hex'));
      job.refresh();
      tip = await chain.add(await job.mineAsync());
      hashes.push(tip.rhash());
    }
    chain.removeListener('disconnect', gather);
    if (undone.length > 0)
      await refill([...undone, ...pending]);
    return hashes;
  });

  // evict txid: with all that spend of it
  rpc.add('evict', async ([txid]) => evict(txid));

  // submit transaction: the txid, or the reason of the refusal as an error
  rpc.add('submit', async ([hex]) => add(TX.fromRaw(hex, 'hex')));

  // replace transaction: as submit, after whatever it conflicts with is gone (BIP 125; this bcoin knows no replacement)
  rpc.add('replace', async ([hex]) => {
    const tx = TX.fromRaw(hex, 'hex');
    for (const {prevout} of tx.inputs) {
      const spender = mempool.getSpentTX(prevout.hash, prevout.index);
      if (spender)
        evict(spender.txid());
    }
    return add(tx);
  });

  return {open: async () => {}, close: async () => {}};
};

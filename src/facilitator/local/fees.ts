/** What a transaction offers for gas, in wei per unit (EIP-1559). */
export interface Fees {
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
}

/**
 * An offer that holds while the base fee doubles, which takes six full blocks.
 *
 * @param base Base fee of the newest block; `tip` is what a miner wants beside it. In wei.
 * @param cap  Most that may be offered, in wei per unit of gas.
 * @returns Null when the cap is under what the next block takes.
 */
export function proposeFees(base: bigint, tip: bigint, cap: bigint): Fees | null {
  // The base fee rises by an eighth from one block to the next at most.
  if (base + base / 8n + 1n > cap) return null
  const maxFeePerGas = least(cap, base * 2n + tip)
  return { maxFeePerGas, maxPriorityFeePerGas: least(tip, maxFeePerGas) }
}

/**
 * An offer that replaces another one for the same nonce. Nodes want a tenth more of both numbers;
 * some want an eighth.
 *
 * @param now What a new transaction would offer; null when that is over the cap.
 * @returns Null when the cap leaves no room: then the transaction waits for fees to fall.
 */
export function raiseFees(before: Fees, now: Fees | null, cap: bigint): Fees | null {
  const maxFeePerGas = most(quarterMore(before.maxFeePerGas), now?.maxFeePerGas ?? 0n)
  const tip = most(quarterMore(before.maxPriorityFeePerGas), now?.maxPriorityFeePerGas ?? 0n)
  if (maxFeePerGas > cap) return null
  return { maxFeePerGas, maxPriorityFeePerGas: least(tip, maxFeePerGas) }
}

function quarterMore(wei: bigint): bigint {
  return wei + wei / 4n + 1n
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other
}

import { createWalletClient, encodeFunctionData, http, type LocalAccount } from 'viem'
import { type Chain, viemChain } from './chain.ts'
import { testDollarAbi } from './token/abi.ts'

type Write =
  | 'permit'
  | 'transferWithAuthorization'
  | 'receiveWithAuthorization'
  | 'cancelAuthorization'

/**
 * Makes a function that calls the token and waits until the call is mined.
 *
 * It rejects with the token's own reason when the call would revert; nothing is sent then.
 */
export function createSender(chain: Chain, account: LocalAccount) {
  const wallet = createWalletClient({
    account,
    chain: viemChain(chain.rpcUrl, chain.chainId),
    transport: http(chain.rpcUrl),
  })
  return async (functionName: Write, args: readonly unknown[]) => {
    const data = encodeFunctionData({
      abi: testDollarAbi,
      functionName,
      args: args as never, // checked by the encoder: the name is not known to the compiler
    })
    await chain.publicClient.call({ account: account.address, to: chain.token, data })
    const hash = await wallet.sendTransaction({ to: chain.token, data })
    return chain.publicClient.waitForTransactionReceipt({ hash })
  }
}

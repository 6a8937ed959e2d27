// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// The smallest smart wallet: what its owner's key signed counts as its own signature (EIP-1271).
/// The runtime code is put at an address, and the owner is then written into the first storage slot.
contract TestWallet {
    address public owner;

    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        if (signature.length < 65) return 0xffffffff;
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        bool signed = owner != address(0) && ecrecover(hash, uint8(signature[64]), r, s) == owner;
        return signed ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

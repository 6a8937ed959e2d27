// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {TestWallet} from "./TestWallet.sol";

contract DeployedWallet is TestWallet {
    constructor(address owner_) {
        owner = owner_;
    }
}

/// Deploys smart wallets whose addresses are known before they are there (EIP-6492).
contract TestWalletFactory {
    function deploy(address owner, bytes32 salt) external returns (address) {
        return address(new DeployedWallet{salt: salt}(owner));
    }

    function addressOf(address owner, bytes32 salt) external view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(DeployedWallet).creationCode, abi.encode(owner)));
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code));
        return address(uint160(uint256(hash)));
    }
}

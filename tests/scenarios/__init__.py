"""The example communities: every scenario decides as it says, and every file is used by one."""

"""What loaded plugins reach: the capabilities, put together by manifest and policy."""
